"""What the engine makes of data, shown by the engine's own code and without a model.

    PYTHON show.py CONFIG.yaml COUNT SAMPLES.json

Writes an object: `samples`, the first COUNT as training sees them, each a list of parts (one; the
chosen and the rejected answer of a pair) with `name`, `cut` (tokens that fell to cutoff_len) and
`segments` of `ids`, their `text` and whether they are `trained`; and over the first ROWS rows
`rows`, `samples_made`, `tokens`, `trained`, `longest` and `cut` (samples, before packing).
"""

import os
import sys
import tempfile
from typing import Any

from golden import write_json
from launcher import read_config, stand_in_for_torchaudio

ROWS = 2000
IGNORED = -100
ENDLESS = 1 << 30
_TOKENIZER = (
    "model_name_or_path",
    "trust_remote_code",
    "use_fast_tokenizer",
    "split_special_tokens",
    "add_tokens",
    "add_special_tokens",
    "new_special_tokens_config",
    "resize_vocab",
)
_DRAWS = "seed"
"""What decides which rows of a limit are read, and how files are mixed."""
# Of what the engine reads, tokenizes or keeps, llmops wants the first rows, once, in this process.
_FIXED: dict[str, Any] = {
    "val_size": 0.0,
    "eval_dataset": None,
    "tokenized_path": None,
    "streaming": False,
    "preprocessing_num_workers": None,
    "overwrite_cache": True,
}
_STAGES = {"dpo": "rm"}
"""Preference pairs are tokenized as for a reward model (train/dpo/workflow.py)."""
_PARTS = {"input_ids": "", "chosen_input_ids": "chosen", "rejected_input_ids": "rejected"}


def main() -> None:
    config, count, file = read_config(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    stand_in_for_torchaudio()
    with tempfile.TemporaryDirectory() as folder:
        write_json(file, shown(config, count, folder))


def shown(config: dict[str, Any], count: int, folder: str) -> dict[str, Any]:
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    model, data, training, *_ = get_train_args(options(config, folder))
    tokenizer = load_tokenizer(model)
    stage = _STAGES.get(config["stage"], config["stage"])

    def made(**changes: Any) -> list[dict[str, Any]]:
        """The samples with some options of the data changed."""
        from copy import copy

        from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
        from transformers import set_seed

        set_seed(training.seed)  # a limit draws its rows, each time the same
        chosen = copy(data)
        for name, value in changes.items():
            setattr(chosen, name, value)
        template = get_template_and_fix_tokenizer(tokenizer["tokenizer"], chosen)
        found = get_dataset(template, model, chosen, training, stage=stage, **tokenizer)
        return list(found["train_dataset"])

    samples, whole = made(), made(cutoff_len=ENDLESS, packing=False, neat_packing=False)
    packed = bool(data.packing or data.neat_packing)
    lengths = [max(len(row[name]) for name in _PARTS if name in row) for row in whole]
    return {
        "stage": config["stage"],
        "cutoff": data.cutoff_len,
        "packed": packed,
        "rows": len(whole),
        "samples_made": len(samples),
        "tokens": sum(lengths),
        "trained": sum(trained(row) for row in whole),
        "longest": max(lengths, default=0),
        "cut": sum(length > data.cutoff_len for length in lengths),
        "samples": [
            parts(row, None if packed else whole[n], tokenizer["tokenizer"])
            for n, row in enumerate(samples[:count])
        ],
    }


def options(config: dict[str, Any], folder: str) -> dict[str, Any]:
    """Those of the config that say what is read and how it is tokenized."""
    from dataclasses import fields

    from llamafactory.hparams import DataArguments

    wanted = {field.name for field in fields(DataArguments) if field.init} | {*_TOKENIZER, _DRAWS}
    found = {name: value for name, value in config.items() if name in wanted}
    rows = min(found.get("max_samples") or ROWS, ROWS)
    told = {"stage": config["stage"], "do_train": True, "output_dir": folder, "use_cpu": True}
    return {**found, **_FIXED, **told, "max_samples": rows, "report_to": "none"}


def trained(row: dict[str, Any]) -> int:
    return sum(
        sum(label != IGNORED for label in labels(row, name)) for name in _PARTS if name in row
    )


def labels(row: dict[str, Any], name: str) -> list[int]:
    """Plain text has none of its own: all of it is trained on."""
    found: list[int] = row.get(name.replace("input_ids", "labels"), row[name])
    return found


def parts(row: dict[str, Any], whole: dict[str, Any] | None, tokenizer: Any) -> list[Any]:
    found = []
    for name, shown_as in _PARTS.items():
        if name in row:
            cut = len(whole[name]) - len(row[name]) if whole is not None else 0
            runs = segments(row[name], labels(row, name), tokenizer)
            found.append({"name": _liked(row) or shown_as, "cut": cut, "segments": runs})
    return found


def _liked(row: dict[str, Any]) -> str:
    tag = row.get("kto_tags")
    return "" if tag is None else ("liked" if tag else "disliked")


def segments(ids: list[int], marks: list[int], tokenizer: Any) -> list[dict[str, Any]]:
    """Runs of tokens that are trained on, or are not."""
    runs: list[dict[str, Any]] = []
    for token, mark in zip(ids, marks, strict=True):
        counts = mark != IGNORED
        if not runs or runs[-1]["trained"] != counts:
            runs.append({"trained": counts, "ids": []})
        runs[-1]["ids"].append(token)
    for run in runs:
        run["text"] = tokenizer.decode(run["ids"], skip_special_tokens=False)
    return runs


if __name__ == "__main__":
    main()
