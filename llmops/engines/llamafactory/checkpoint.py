"""What an attempt leaves for a later one: checkpoints to go on from, and nothing that is
registered already.

The engine resumes by itself from whatever lies in its output directory, stale or not; each attempt
therefore has a fresh one, and the checkpoint is named.
"""

import contextlib
import re
import shutil
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from llmops.engines.llamafactory.evidence import check_weights
from llmops.engines.llamafactory.seal import broken, seal
from llmops.errors import Failed
from llmops.registry.files import VALUE_HEAD
from llmops.store.files import read_object
from llmops.store.run_paths import AttemptPaths

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
# Without one of these training would go on silently: with moments of zero (`save_only_model`), at
# the first learning rate, or with other random numbers.
_NEEDED = (("optimizer.pt", "optimizer.bin", "optimizer_0"), ("scheduler.pt",))
_NAME = re.compile(r"checkpoint-([0-9]+)")
_RANDOM = ("rng_state.pth", "rng_state_0.pth")


def checkpoints(attempt: AttemptPaths) -> list[tuple[int, Path]]:
    """Those that training could go on from, by their steps: none of a training that an alarm ended,
    for it would only be ended again."""
    if attempt.stop.exists():
        return []
    folders = attempt.output.glob("checkpoint-*")
    found = ((_NAME.fullmatch(folder.name), folder) for folder in folders)
    return [(int(match[1]), folder) for match, folder in found if match]


def damage(attempt: AttemptPaths, folder: Path) -> str:
    """Why training cannot go on from it, in words; empty when it can.

    The trainer writes trainer_state.json last; but disks forget, and old checkpoints are removed
    file by file. What its files hold is known by their seals, where there are some.
    """
    step = folder.name.rpartition("-")[2]
    state = read_object(folder / "trainer_state.json")
    if str(state.get("global_step")) != step:
        return f"trainer_state.json does not tell of step {step}"
    if (folder / VALUE_HEAD).exists():
        return "the engine does not load the checkpoints of a reward model"
    try:
        return _lack(folder) or _cut_off(folder) or broken(attempt, folder)
    except OSError as error:
        return str(error)  # being removed, or a disk that cannot be read


def seal_all(attempt: AttemptPaths, *, ended: bool) -> None:
    """Those that were written since. What cannot be read, or its seal written, has none."""
    for _, folder in checkpoints(attempt):
        with contextlib.suppress(OSError, Failed):
            seal(attempt, folder, ended=ended)


def prune(attempt: AttemptPaths) -> None:
    """Remove the weights of a registered attempt; its log, config and figures stay."""
    folders = (attempt.result, attempt.datasets, attempt.tokenized, attempt.seals)
    for folder in (*folders, *attempt.output.glob("checkpoint-*")):
        shutil.rmtree(folder, ignore_errors=True)
    for pattern in _WEIGHTS:
        for file in attempt.output.glob(pattern):
            file.unlink(missing_ok=True)


def _lack(folder: Path) -> str:
    """What is not there. DeepSpeed has weights, moments and schedule in a folder of its own;
    `latest` names it."""
    if not any((folder / name).exists() for name in _RANDOM):
        return f"{_RANDOM[0]} is missing"
    if (folder / "latest").exists():
        named = folder / (folder / "latest").read_text(encoding="utf-8").strip()
        there = named != folder and any(named.glob("*.pt"))
        return "" if there else "the folder that `latest` names is empty"
    for names in _NEEDED:
        if not any((folder / name).exists() for name in names):
            return f"{names[0]} is missing"
    if (folder / "optimizer_0").exists():
        return ""  # FSDP has its weights in shards beside it
    if not any(folder.glob("*.safetensors")):
        return "the weights are missing"
    try:
        check_weights(folder)
    except Failed as error:
        return f"{Path(error.where).name}: {error.what}"
    return ""


def _cut_off(folder: Path) -> str:
    """Which of its files has no directory of a zip file, as torch writes it, at its end."""
    for file in (file for end in ("pt", "pth", "bin") for file in folder.rglob(f"*.{end}")):
        try:
            ZipFile(file).close()
        except BadZipFile:
            return f"{file.name} is cut off"
    return ""
