"""Leaves what the engine tokenizes for a later training.

Imported by launcher.py, in the engine's environment. The engine's own `tokenized_path` would save
too, but where it stands: cut off when the disk is full or the process dies, and under torchrun the
other processes look for that directory while the first one fills it.
"""

import os
import shutil
from typing import Any

from phases import Phases


def keep(asked: dict[str, Any], phases: Phases) -> None:
    """Have the data saved to `asked["folder"]` before training begins, by the first process.

    What cannot be saved, or would leave less than `asked["spare"]` bytes free, is not; training
    goes on.
    """
    from llamafactory.data import loader

    if os.environ.get("RANK", "0") != "0" or not hasattr(loader, "get_dataset_module"):
        return
    made = loader.get_dataset_module

    def kept(data: Any) -> Any:
        try:
            save(data, asked["folder"], asked["spare"])
        except Exception as error:  # whatever it is, the data is there to be trained on
            phases.warn(f"tokenized data is not kept: {error}")
        return made(data)

    loader.get_dataset_module = kept


def save(data: Any, folder: str, spare: int) -> None:
    """All of it, or nothing."""
    begun = f"{folder}.begun"
    os.makedirs(begun)
    size = sum(part.data.nbytes for part in data.values())
    try:
        if shutil.disk_usage(begun).free - size < spare:
            raise OSError("the disk has no room for it besides what training needs")
        data.save_to_disk(begun)
        os.rename(begun, folder)
    except BaseException:
        shutil.rmtree(begun, ignore_errors=True)
        raise
