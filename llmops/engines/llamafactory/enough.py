"""Whether there are samples enough: to hold back a share for validation, for each process that
reads them, and for a batch.

Sources: datasets 4.0, `Dataset.train_test_split` and `to_iterable_dataset`; LLaMA-Factory 0.9.5,
data/loader.py; torch's DataLoader.
"""

from collections.abc import Sequence
from math import ceil

from llmops.engines.contract import TrainJob


def check_samples(job: TrainJob) -> None:
    """Raises BadInput for what the engine says after it has read them. Files that are yet to be
    made are not counted."""
    if not all(data.samples for data in job.train):
        return
    args, most = job.recipe.spec.args, job.recipe.spec.args.get("max_samples")
    counts = [data.limit or data.samples for data in job.train]
    _check_workers(job, min(counts))
    samples = sum(count if most is None else min(count, most) for count in counts)
    held = ceil(job.validation * samples) if isinstance(job.validation, float) else 0
    if samples - held < 1:
        raise job.recipe.bad(
            f"of {samples} {'sample' if samples == 1 else 'samples'} this leaves none to train on",
            ("data", "validation"),
            fix="name files for it, or add samples",
        )
    if args.get("dataloader_drop_last") and args.get("mix_strategy", "concat") == "concat":
        _check_batch(job, "train", samples - held)
        if isinstance(job.validation, Sequence):
            held = sum(data.limit or data.samples for data in job.validation)
        if held:
            _check_batch(job, "eval", held)


def _check_batch(job: TrainJob, which: str, samples: int) -> None:
    size = job.recipe.spec.args.get(f"per_device_{which}_batch_size", 8)
    batch = size * job.recipe.spec.resources.devices
    if samples < batch:
        raise job.recipe.bad(
            f"{samples} samples make no whole batch of {batch}, so all are dropped",
            ("args", "dataloader_drop_last"),
            fix=f"leave it out, or write a smaller `per_device_{which}_batch_size:`",
        )


def _check_workers(job: TrainJob, fewest: int) -> None:
    workers = job.recipe.spec.args.get("dataloader_num_workers", 0)
    if job.recipe.spec.args.get("streaming") and workers > fewest:
        raise job.recipe.bad(
            f"{workers} processes cannot share a file of {fewest} samples",
            ("args", "dataloader_num_workers"),
            fix="write `dataloader_num_workers: 1`",
        )
