"""What an attempt leaves for a later one: checkpoints to go on from, and nothing that is
registered already.

The engine resumes by itself from whatever lies in its output directory, stale or not; each attempt
therefore has a fresh one, and the checkpoint is named.
"""

import re
import shutil
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from llmops.engines.llamafactory.evidence import check_weights
from llmops.errors import Failed
from llmops.store.files import read_object
from llmops.store.run_paths import AttemptPaths

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
# Without one of these training would go on silently: with moments of zero (`save_only_model`), at
# the first learning rate, or with other random numbers.
_NEEDED = (("optimizer.pt", "optimizer.bin", "optimizer_0"), ("scheduler.pt",))
_RANDOM = ("rng_state.pth", "rng_state_0.pth")


def last_checkpoint(attempt: AttemptPaths) -> tuple[Path, int] | None:
    """The newest checkpoint that training can go on from, and its step.

    The trainer writes trainer_state.json last; but disks forget, and old checkpoints are removed
    file by file. One that is not whole is passed over for the one before it.
    """
    if attempt.stop.exists():
        return None  # what an alarm ended would only be ended again
    found = []
    for folder in attempt.output.glob("checkpoint-*"):
        match = re.fullmatch(r"checkpoint-([0-9]+)", folder.name)
        if match and _is_whole(folder, int(match[1])):
            found.append((int(match[1]), folder))
    if not found:
        return None
    step, folder = max(found)
    return folder, step


def prune(attempt: AttemptPaths) -> None:
    """Remove the weights of a registered attempt; its log, config and figures stay."""
    folders = (attempt.result, attempt.datasets, attempt.tokenized)
    for folder in (*folders, *attempt.output.glob("checkpoint-*")):
        shutil.rmtree(folder, ignore_errors=True)
    for pattern in _WEIGHTS:
        for file in attempt.output.glob(pattern):
            file.unlink(missing_ok=True)


def _is_whole(folder: Path, step: int) -> bool:
    """By what a file's end tells, not by its content: gigabytes are not read for it."""
    if read_object(folder / "trainer_state.json").get("global_step") != step:
        return False
    try:
        return _has_all(folder) and all(_is_complete(file) for file in _tensor_files(folder))
    except OSError:
        return False  # being removed


def _has_all(folder: Path) -> bool:
    """DeepSpeed has weights, moments and schedule in a folder of its own; `latest` names it."""
    if not any((folder / name).exists() for name in _RANDOM):
        return False
    if (folder / "latest").exists():
        named = folder / (folder / "latest").read_text(encoding="utf-8").strip()
        return named != folder and any(named.glob("*.pt"))
    if not all(any((folder / name).exists() for name in names) for names in _NEEDED):
        return False
    if (folder / "optimizer_0").exists():
        return True  # FSDP has its weights in shards beside it
    try:
        check_weights(folder)
    except Failed:
        return False
    return True


def _tensor_files(folder: Path) -> list[Path]:
    return [file for end in ("pt", "pth", "bin") for file in folder.rglob(f"*.{end}")]


def _is_complete(file: Path) -> bool:
    """Whether it has the directory of a zip file, as torch writes it, at its end."""
    try:
        ZipFile(file).close()
    except BadZipFile:
        return False
    return True
