"""The two sides of the overhead measurement: `llmops run`, and the engine alone on its config.

The engine alone is the same launcher without `--finish`: what `llamafactory-cli train` does, with
the stand-in for torchaudio that the CPU environment needs. Each side trains a few steps into a
directory of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import llmops.engines.llamafactory as llamafactory
from llmops.environments.environment import find
from llmops.spec.settings import load_settings

RECIPE = ("recipes/sft.yaml", "base=town-base:v1", "args.max_steps=20", "output.model=bench")


class Overhead:
    """A project of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.count = 0

    def prepare(self) -> None:
        """A base model, and one run whose compiled config both sides use."""
        self._llmops("init", str(self.project), cwd=self.project.parent)
        self._llmops("run", "recipes/base.yaml")
        self._llmops("run", *RECIPE)

    def llmops(self) -> None:
        self._llmops("run", *RECIPE, "--force")

    def engine(self, wait_policy: str = "PASSIVE") -> None:
        """The compiled config of the first run, with an output directory of its own.

        wait_policy: OpenMP's, as in llmops' own runs, or ACTIVE, which is OpenMP's default.
        """
        runs = self.project / ".llmops" / "runs"
        attempt = min(runs.glob("*/sft/1"))
        self.count += 1
        output = self.project / f"direct-{self.count}"
        text = (attempt / "config.yaml").read_text(encoding="utf-8")
        config = self.project / f"direct-{self.count}.yaml"
        config.write_text(text.replace(str(attempt / "output"), str(output)), encoding="utf-8")
        assert str(output) in config.read_text(encoding="utf-8")
        python = find("llamafactory", load_settings(self.project)).python
        launcher = Path(llamafactory.__file__).parent / "worker" / "launcher.py"
        env = {"OMP_WAIT_POLICY": wait_policy, "PYTHONDONTWRITEBYTECODE": ""}
        self._run([str(python), str(launcher), "--config", str(config)], self.project, env)

    def _llmops(self, *args: str, cwd: Path | None = None) -> None:
        self._run([sys.executable, "-m", "llmops", *args], cwd or self.project)

    def _run(self, argv: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
        given = {**os.environ, **(env or {})}
        done = subprocess.run(argv, cwd=cwd, env=given, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}\n{done.stderr}")
