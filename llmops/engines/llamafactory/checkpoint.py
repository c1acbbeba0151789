"""What an attempt leaves for a later one: checkpoints to go on from, and nothing that is
registered already.

The engine resumes by itself from whatever lies in its output directory, stale or not; each attempt
therefore has a fresh one, and the checkpoint is named.
"""

import re
import shutil
from pathlib import Path

from llmops.store.files import read_object
from llmops.store.run_paths import AttemptPaths

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
# AdamW's moments: one file, or DeepSpeed's own folder. Without them training would go on silently
# with moments of zero (`save_only_model`).
_OPTIMIZER = ("optimizer.pt", "optimizer.bin", "latest", "optimizer_0")


def last_checkpoint(attempt: AttemptPaths) -> tuple[Path, int] | None:
    """The newest checkpoint that training can go on from, and its step.

    The trainer writes trainer_state.json last, so a checkpoint that has it is whole.
    """
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
    for folder in (attempt.result, attempt.datasets, *attempt.output.glob("checkpoint-*")):
        shutil.rmtree(folder, ignore_errors=True)
    for pattern in _WEIGHTS:
        for file in attempt.output.glob(pattern):
            file.unlink(missing_ok=True)


def _is_whole(folder: Path, step: int) -> bool:
    has_moments = any((folder / name).exists() for name in _OPTIMIZER)
    return has_moments and read_object(folder / "trainer_state.json").get("global_step") == step
