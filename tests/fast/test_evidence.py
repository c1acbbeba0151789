"""What proves that an attempt finished, and what is said when it did not."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.llamafactory.cause import cause
from llmops.engines.llamafactory.evidence import finished
from llmops.errors import Failed
from llmops.store.run_paths import AttemptPaths


def weights(path: Path, size: int = 16) -> None:
    """A safetensors file of one tensor of `size` bytes."""
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"x" * size)


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptPaths:
    """An attempt that finished and made an adapter."""
    found = AttemptPaths(tmp_path)
    found.output.mkdir()
    found.result.mkdir()
    write(found.output / "trainer_state.json", {"global_step": 20, "max_steps": 20})
    write(found.output / "all_results.json", {"train_loss": 1.5, "epoch": 2})
    write(found.result / "adapter_config.json", {"r": 16})
    weights(found.result / "adapter_model.safetensors")
    write(found.golden, [])
    found.phases.write_text('{"phase": "training"}\n{"phase": "done", "time": 1}\n')
    return found


def test_an_adapter(attempt: AttemptPaths) -> None:
    found = finished(attempt)
    assert (found.kind, found.lora_rank, found.directory) == ("adapter", 16, attempt.result)
    assert found.metrics == {"train_loss": 1.5, "epoch": 2.0}


def test_speed_and_mean_loss_of_a_rest_are_not_those_of_the_training(attempt: AttemptPaths) -> None:
    config = 'stage: "sft"\nresume_from_checkpoint: "/earlier/checkpoint-10"\n'
    (attempt.root / "config.yaml").write_text(config)
    assert finished(attempt).metrics == {"epoch": 2.0}


def test_a_full_model(attempt: AttemptPaths) -> None:
    (attempt.result / "adapter_config.json").unlink()
    (attempt.result / "adapter_model.safetensors").rename(attempt.result / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        write(attempt.result / name, {})
    assert (finished(attempt).kind, finished(attempt).lora_rank) == ("full", None)


def test_a_base_has_no_steps(attempt: AttemptPaths) -> None:
    (attempt.output / "trainer_state.json").unlink()
    write(attempt.root / "base.json", {})
    assert finished(attempt).metrics == {}


def test_last_rewards_are_metrics(attempt: AttemptPaths) -> None:
    history = [{"rewards/accuracies": 0.5}, {"rewards/accuracies": 0.75, "step": 20}]
    state = {"global_step": 20, "max_steps": 20, "log_history": history}
    write(attempt.output / "trainer_state.json", state)
    assert finished(attempt).metrics["rewards/accuracies"] == 0.75


def test_stopped_in_the_middle(attempt: AttemptPaths) -> None:
    write(attempt.output / "trainer_state.json", {"global_step": 7, "max_steps": 20})
    with pytest.raises(Failed, match="training stopped at step 7 of 20"):
        finished(attempt)


def test_early_stopping_is_an_end(attempt: AttemptPaths) -> None:
    callback = {
        "args": {"early_stopping_patience": 2},
        "attributes": {"early_stopping_patience_counter": 2},
    }
    state = {
        "global_step": 7,
        "max_steps": 20,
        "stateful_callbacks": {"EarlyStoppingCallback": callback},
    }
    write(attempt.output / "trainer_state.json", state)
    assert finished(attempt).kind == "adapter"
    callback["attributes"]["early_stopping_patience_counter"] = 1
    write(attempt.output / "trainer_state.json", state)
    with pytest.raises(Failed, match="step 7 of 20"):
        finished(attempt)


def test_one_that_was_stopped_says_why_and_what_was_kept(attempt: AttemptPaths) -> None:
    state = {"global_step": 7, "max_steps": 20}
    best = {**state, "best_model_checkpoint": str(attempt.output / "checkpoint-4")}
    write(attempt.output / "trainer_state.json", best)
    with pytest.raises(Failed, match="step 7 of 20"):
        finished(attempt)  # nobody asked for it
    write(attempt.stop, {"kind": "overfitting", "step": 6, "text": "validation loss rose"})
    assert finished(attempt).stopped == (
        "training stopped at step 7 of 20: overfitting: validation loss rose; "
        "step 4 is the best and kept"
    )
    write(attempt.output / "trainer_state.json", state)
    with pytest.raises(Failed, match="step 7 of 20"):
        finished(attempt)  # there is no best


def test_no_state(attempt: AttemptPaths) -> None:
    (attempt.output / "trainer_state.json").unlink()
    with pytest.raises(Failed, match="did not reach its end"):
        finished(attempt)


def test_worker_that_did_not_get_through(attempt: AttemptPaths) -> None:
    attempt.phases.write_text('{"phase": "checking"}\n{"pha')
    with pytest.raises(Failed, match="the worker ended while checking"):
        finished(attempt)


def test_a_model_that_answers_with_nan_is_none(attempt: AttemptPaths) -> None:
    golden = {"prompt_ids": [1], "completion_ids": [0], "logprobs": [math.nan]}
    attempt.golden.write_text(json.dumps([golden]))
    with pytest.raises(Failed, match="training diverged: the model's log-probabilities"):
        finished(attempt)


def test_a_figure_that_is_no_number_is_left_out(attempt: AttemptPaths) -> None:
    write(attempt.output / "all_results.json", {"train_loss": math.nan, "epoch": 2})
    assert finished(attempt).metrics == {"epoch": 2.0}


def test_no_golden_prompts(attempt: AttemptPaths) -> None:
    attempt.golden.unlink()
    with pytest.raises(Failed, match="golden prompts"):
        finished(attempt)


def test_cut_weights(attempt: AttemptPaths) -> None:
    file = attempt.result / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Failed, match="where its header promises"):
        finished(attempt)


def test_no_weights(attempt: AttemptPaths) -> None:
    (attempt.result / "adapter_model.safetensors").unlink()
    with pytest.raises(Failed, match="is missing"):
        finished(attempt)


TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
    f()
{}
"""
BUSY = "CUDA error: all CUDA-capable devices are busy or unavailable"
TORCHRUN = TRACEBACK.format(
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n====\nlauncher.py FAILED"
)


def ranked(text: str) -> str:
    return "".join(f"[rank0]: {line}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (TRACEBACK.format("ValueError: bad mask"), "ValueError: bad mask"),
        (TRACEBACK.format("torch.OutOfMemoryError: CUDA out of memory."), "out of GPU memory"),
        (TRACEBACK.format("RuntimeError: Cannot find valid samples, check"), "no valid samples"),
        (ranked(TRACEBACK.format("ValueError: bad mask")) + TORCHRUN, "ValueError: bad mask"),
        (TRACEBACK.format("ValueError: bad mask") + TORCHRUN, "ValueError: bad mask"),
        (TORCHRUN + " exitcode  : -9 (pid: 12)\n", "killed by the system"),
        (TRACEBACK.format("OSError: [Errno 122] Disk quota exceeded"), "no space left on the disk"),
        ("error: the adapters differ\n", "the adapters differ"),
        (TRACEBACK.format("concatenate.Refused: no adapter"), "concatenate.Refused: no adapter"),
        ("all is well: MemoryError is a word in the data\n", ""),
        ("", ""),
    ],
)
def test_cause(log: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("loading\n" + log)
    assert cause(file).text.startswith(expected)
    assert bool(cause(file).text) == bool(expected)


LOST = "torch.distributed.DistBackendError: Connection reset by peer"
WATCHDOG = """\
terminate called after throwing an instance of 'c10::DistBackendError'
  what():  [Rank 0] Process group watchdog thread terminated with exception: [Rank 0] Watchdog \
caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE) ran for 600012 ms
"""
NCCL = "NCCL error in: x.cpp, remote process exited or there was a network error ncclRemoteError: A"
HUB = "We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them"
AWAY = "Service Unavailable"
WORKER = "DataLoader worker (pid 7) is killed by signal:"
KILLED = TORCHRUN + " exitcode  : -9 (pid: 12)\n"


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        (TRACEBACK.format("torch.OutOfMemoryError: CUDA out of memory."), "memory"),
        (TRACEBACK.format("MemoryError"), "memory"),
        (TRACEBACK.format("RuntimeError: The server socket: EADDRINUSE"), "passing"),
        (TRACEBACK.format("OSError: [Errno 116] Stale file handle: 'a'"), "passing"),
        (TRACEBACK.format(f"RuntimeError: {BUSY}"), "passing"),
        (ranked(TRACEBACK.format(LOST)) + TORCHRUN, "passing"),
        (WATCHDOG + TORCHRUN, "passing"),
        (ranked(TRACEBACK.format("ValueError: bad mask")) + WATCHDOG + TORCHRUN, ""),
        (TRACEBACK.format(f"torch.distributed.DistBackendError: {NCCL}"), "passing"),
        (TRACEBACK.format("torch.distributed.DistStoreError: wait timeout after 9ms"), "passing"),
        (TRACEBACK.format("RuntimeError: CUDA error: uncorrectable ECC error"), "passing"),
        (TRACEBACK.format(f"OSError: {HUB}"), "passing"),
        (TRACEBACK.format("huggingface_hub.errors.GatedRepoError: 403 Client Error."), ""),
        (TRACEBACK.format("huggingface_hub.errors.HfHubHTTPError: 503 Server Error"), "passing"),
        (TRACEBACK.format(f"HfHubHTTPError: Server error '503 {AWAY}' for url 'x'"), "passing"),
        (TRACEBACK.format("requests.exceptions.ReadTimeout: read timed out"), "passing"),
        (TRACEBACK.format(f"RuntimeError: {WORKER} Killed. "), "memory"),
        (
            TRACEBACK.format(
                f"RuntimeError: {WORKER} Bus error. It is possible that dataloader's "
                "workers are out of shared memory."
            ),
            "",
        ),
        (TRACEBACK.format("FileNotFoundError: [Errno 2] No such file or directory: 'a'"), ""),
        (TRACEBACK.format("KeyError: 'a'"), ""),
        (ranked(TRACEBACK.format(LOST)) + KILLED, "memory"),
        (TRACEBACK.format("ValueError: bad mask"), ""),
        (TRACEBACK.format("OSError: [Errno 28] No space left on device"), ""),
    ],
)
def test_what_may_pass_and_what_was_memory(log: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text(log)
    assert cause(file).kind == kind


def test_cause_without_a_log(tmp_path: Path) -> None:
    assert cause(tmp_path / "log.txt").text == ""
