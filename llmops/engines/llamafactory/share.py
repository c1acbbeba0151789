"""The share of the samples that is held back to evaluate on, as the engine divides them.

Source: datasets 4.0, `Dataset.train_test_split`; LLaMA-Factory 0.9.5, data/loader.py.
"""

from math import ceil

from llmops.engines.contract import TrainJob


def check_share(job: TrainJob) -> None:
    """Raises BadInput where none is left to train on, which the engine says after it has read them.
    Files that are yet to be made are not counted."""
    share, most = job.validation, job.recipe.spec.args.get("max_samples")
    if not isinstance(share, float) or not all(data.samples for data in job.train):
        return
    counts = [data.limit or data.samples for data in job.train]
    samples = sum(count if most is None else min(count, most) for count in counts)
    if samples - ceil(share * samples) < 1:
        raise job.recipe.bad(
            f"of {samples} {'sample' if samples == 1 else 'samples'} this leaves none to train on",
            ("data", "validation"),
            fix="name files for it, or add samples",
        )
