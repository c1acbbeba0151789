"""What tokenized data costs to keep, and saves: one step of training on many samples, started anew,
with a cache that is empty, with one that has the tokens, and without any (`--force`)."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

SAMPLES = 50_000
_RECIPE = """\
kind: train
stage: sft
base: town-base:v1
data: {train: [{path: many.jsonl}]}
args: {finetuning_type: lora, cutoff_len: 256, max_steps: 1, per_device_train_batch_size: 1}
output: {model: many}
"""


class Tokens:
    """A project of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.cpu: dict[str, list[float]] = {}
        """Seconds of CPU of each side's runs, the engine's with them."""
        self._count = 0

    def prepare(self) -> None:
        """A base model, and samples of about a hundred tokens each."""
        self._llmops("init", str(self.project), cwd=self.project.parent)
        self._llmops("run", "recipes/base.yaml")
        (self.project / "many.yaml").write_text(_RECIPE, encoding="utf-8")
        with (self.project / "many.jsonl").open("w", encoding="utf-8") as file:
            for number in range(SAMPLES):
                file.write(json.dumps({"messages": _chat(number)}) + "\n")
        self._llmops("plan", "many.yaml")

    def makes(self) -> None:
        shutil.rmtree(self.project / ".llmops" / "cache" / "tokenized", ignore_errors=True)
        self._train("makes")

    def takes(self) -> None:
        """After `makes`."""
        self._train("takes")

    def without(self) -> None:
        self._train("without", "--force")

    def megabytes(self) -> float:
        """Of what is kept."""
        kept = (self.project / ".llmops" / "cache" / "tokenized").rglob("*.arrow")
        return sum(file.stat().st_size for file in kept) / 1e6

    def _train(self, side: str, *more: str) -> None:
        self._count += 1
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._llmops("run", "many.yaml", f"args.learning_rate={self._count}e-5", *more)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.cpu.setdefault(side, []).append(used)

    def _llmops(self, *args: str, cwd: Path | None = None) -> None:
        argv = [sys.executable, "-m", "llmops", *args]
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        subprocess.run(argv, cwd=cwd or self.project, env=env, capture_output=True, check=True)


def _chat(number: int) -> list[dict[str, str]]:
    asked = f"In the town of number {number}, how many houses stand by the river, and why so many?"
    said = f"There are {number * 7 % 991} of them. " + "They were built when the mill was new. " * 3
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
