"""Golden prompts of a model that was not trained here, computed by the training engine.

Runs `worker/golden.py` in the engine's own environment, in a process of its own; the control
plane never loads a model. The servers compare what they make of the same prompts.
"""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llmops.engines.contract import Environment, ModelFiles
from llmops.errors import Failed, Interrupted
from llmops.registry.manifest import Golden
from llmops.spec.source import display
from llmops.store.signals import handling

WORKER = Path(__file__).parent.parent / "engines" / "llamafactory" / "worker" / "golden.py"
_TAIL = 12


def compute_golden(
    models: Sequence[ModelFiles], environment: Environment, dtype: str, prompts: Sequence[Any] = ()
) -> list[list[Golden]]:
    """What the training engine makes of `prompts` (messages or texts; a few neutral ones of the
    worker's own when there are none), for each model; none for a model that is no text model.
    Takes as long as loading the models takes, one after the other.

    Raises Failed, with the end of its output, when the engine cannot load or run a model.
    """
    with tempfile.TemporaryDirectory(prefix="llmops-golden-") as folder:
        answers = [Path(folder) / f"golden-{n}.json" for n in range(len(models))]
        requests: list[dict[str, Any]] = [
            {
                "base": str(files.directory.resolve()),
                "adapter": str(files.adapter.resolve()) if files.adapter else None,
                "golden": list(prompts),
                "golden_file": str(answer),
                "dtype": dtype,
            }
            for files, answer in zip(models, answers, strict=True)
        ]
        (Path(folder) / "requests.json").write_text(json.dumps(requests), encoding="utf-8")
        argv = [str(environment.python), str(WORKER), str(Path(folder) / "requests.json")]
        code, said = _run(argv, folder)
        try:
            if code == 0:
                kind = TypeAdapter(list[Golden])
                return [kind.validate_json(one.read_text(encoding="utf-8")) for one in answers]
        except (OSError, ValidationError) as error:
            said += f"{error}\n"
    raise Failed(
        "the training engine cannot run this model; its last lines:\n    "
        + "\n    ".join(said.strip().splitlines()[-_TAIL:]),
        where=display(models[-1].adapter or models[-1].directory),
        fix="register it without this check: --no-engine-check",
    )


def _run(argv: list[str], folder: str) -> tuple[int, str]:
    """Run the worker to its end: its exit code and what it said.

    Raises Interrupted on SIGTERM, once the worker is gone. The handler raises nothing itself, for
    then a signal while the process is being started would lose the process.
    """
    asked: list[int] = []
    process: subprocess.Popen[str] | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if process is not None:
            process.kill()

    with handling(stop, signal.SIGTERM):
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            if asked:
                process.kill()
            said, _ = process.communicate()
        except BaseException:
            process.kill()
            process.wait()
            raise
    if asked:
        raise Interrupted("interrupted; nothing was registered")
    return process.returncode, said
