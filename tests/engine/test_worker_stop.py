"""Training that is stopped, or runs in several processes, with the real engine."""

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from tests.engine.worker_run import ENV, SFT, WORKER, Attempt, run

pytestmark = pytest.mark.engine


def test_a_checkpoint_on_sigterm_is_not_a_finish(
    llamafactory: Environment, tiny_base: Path, tmp_path: Path
) -> None:
    attempt = Attempt(tmp_path, tiny_base)
    argv = attempt.write({**SFT, "max_steps": 100_000, "enable_jit_checkpoint": True})
    process = subprocess.Popen(
        [str(llamafactory.python), str(WORKER / "launcher.py"), *argv],
        cwd=tmp_path,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        next(line for line in process.stdout if "'loss'" in line)
        process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
    assert process.returncode == 143, said[-3000:]
    assert "of 100000; not finished" in said.splitlines()[-1]
    assert list(attempt.output.glob("checkpoint-*/model*")) or list(
        attempt.output.glob("checkpoint-*/adapter_model*")
    )
    assert not attempt.result.exists()
    assert attempt.phases() == ["starting", "training", "saving"]


def test_early_stopping_is_a_finish_with_the_best_checkpoint(
    llamafactory: Environment, tiny_base: Path, tmp_path: Path
) -> None:
    attempt = Attempt(tmp_path, tiny_base)
    options = {"max_steps": 50, "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps"}
    options |= {"save_steps": 1, "save_only_model": True, "metric_for_best_model": "eval_loss"}
    options |= {"load_best_model_at_end": True, "early_stopping_steps": 1, "eval_dataset": "chat"}
    options |= {"learning_rate": 10.0, "save_total_limit": 1}
    argv = attempt.write({**SFT, **options})
    run(llamafactory, [str(WORKER / "launcher.py"), *argv], tmp_path)
    assert len(attempt.losses()) < 50
    assert attempt.phases()[-1] == "done"
    state = json.loads((attempt.output / "trainer_state.json").read_text(encoding="utf-8"))
    best = Path(state["best_model_checkpoint"])
    assert int(best.name.rpartition("-")[2]) < state["global_step"]
    (weights,) = attempt.result.glob("*.safetensors")
    assert weights.read_bytes() == (best / weights.name).read_bytes()


def test_from_its_last_step_a_training_takes_no_other(
    llamafactory: Environment, tiny_base: Path, tmp_path: Path
) -> None:
    """A step more, inside an epoch of two, would change the adapter."""
    whole, again = (Attempt(tmp_path / name, tiny_base) for name in ("whole", "again"))
    options = {**SFT, "max_steps": 3, "save_strategy": "steps", "save_steps": 100}
    argv = whole.write(options)
    run(llamafactory, [str(WORKER / "launcher.py"), *argv], whole.root, PYTHONHASHSEED="0")
    last = {"resume_from_checkpoint": str(whole.output / "checkpoint-3")}
    argv = again.write({**options, **last})
    run(llamafactory, [str(WORKER / "launcher.py"), *argv], again.root, PYTHONHASHSEED="0")
    for file in whole.result.iterdir():
        assert file.read_bytes() == (again.result / file.name).read_bytes(), file.name
    assert again.golden() == whole.golden()
    state = json.loads((again.output / "trainer_state.json").read_text(encoding="utf-8"))
    assert (state["global_step"], state["max_steps"]) == (3, 3)


def test_two_processes_train_together_and_finish_once(
    llamafactory: Environment, tiny_base: Path, tmp_path: Path
) -> None:
    attempt = Attempt(tmp_path, tiny_base)
    argv = attempt.write({**SFT, "ddp_backend": "gloo", "max_steps": 2})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port]
    said = run(llamafactory, [*torchrun, str(WORKER / "launcher.py"), *argv], tmp_path)
    assert "world size: 2" in said
    assert attempt.phases() == ["starting", "training", "saving", "checking", "done"]
    assert said.count("golden: 2 prompts") == 1
    assert len(attempt.golden()) == 2
