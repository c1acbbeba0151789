"""What an attempt left behind: proof that it finished, or the likely cause of its failure.

Exit code 0 proves nothing: the engine exits 0 for an unknown command, and after a checkpoint on
SIGTERM. Proof is the last phase of the worker, all steps taken, complete safetensors files,
and answers that are numbers. Reads files only.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from llmops.engines.contract import Finished
from llmops.errors import BadInput, Failed
from llmops.registry.files import headers, kind_of, model_files
from llmops.spec.source import display
from llmops.store.files import read_object
from llmops.store.run_paths import AttemptPaths


def finished(attempt: AttemptPaths) -> Finished:
    """The result of a finished attempt. Raises Failed, saying what is missing."""
    metrics: dict[str, float] = {}
    stopped = ""
    if not (attempt.root / "base.json").is_file():
        stopped = _check_steps(attempt)
        metrics = _metrics(attempt)
    last = _last_phase(attempt)
    if last != "done":
        raise Failed(
            f"the worker ended while {last}" if last else "the worker never started",
            where=display(attempt.log),
        )
    check_weights(attempt.result)
    if not attempt.golden.is_file():
        raise Failed("the golden prompts were not computed", where=display(attempt.golden))
    _check_numbers(attempt)
    config = attempt.result / "adapter_config.json"
    if not config.is_file():
        return Finished(attempt.result, "full", metrics, stopped=stopped)
    rank = read_object(config).get("r")
    return Finished(attempt.result, "adapter", metrics, int(rank) if rank else None, stopped)


def check_weights(directory: Path) -> None:
    """Every file that makes a model is there, and as long as its header says. Raises Failed."""
    try:
        headers(directory, model_files(directory, kind_of(directory)))
    except BadInput as error:
        raise Failed(error.what, where=error.where) from error


def _check_numbers(attempt: AttemptPaths) -> None:
    """A model that answers with NaN trains to its last step and is written whole."""
    found = json.loads(attempt.golden.read_text(encoding="utf-8"))
    values = [value for golden in found for value in golden["logprobs"]]
    if not all(map(math.isfinite, values)):
        raise Failed(
            "training diverged: the model's log-probabilities are no numbers; "
            "lower the learning rate, or warm up for longer",
            where=display(attempt.golden),
        )


def _check_steps(attempt: AttemptPaths) -> str:
    """Why training ended before its last step, and what was kept; empty when it took them all."""
    file = attempt.output / "trainer_state.json"
    if not file.is_file():
        raise Failed("training did not reach its end", where=display(attempt.log))
    state = read_object(file)
    step, total = state.get("global_step"), state.get("max_steps")
    if total and step == total:
        return ""
    told = f"training stopped at step {step} of {total}"
    best = re.fullmatch(r"checkpoint-([0-9]+)", Path(state.get("best_model_checkpoint") or "").name)
    kept = f"; step {best[1]} is the best and kept" if best else ""
    if total and _stopped_early(state):
        return f"{told}: early stopping{kept}"
    alarm = read_object(attempt.stop)
    if not total or not best or not alarm:
        raise Failed(told, where=display(file))
    return f"{told}: {alarm.get('kind')}: {alarm.get('text')}{kept}"


def _stopped_early(state: dict[str, Any]) -> bool:
    """Whether the recipe's own early stopping ended it: the patience that it asked for ran out."""
    callback = (state.get("stateful_callbacks") or {}).get("EarlyStoppingCallback")
    if not isinstance(callback, dict):
        return False
    patience = (callback.get("args") or {}).get("early_stopping_patience")
    waited = (callback.get("attributes") or {}).get("early_stopping_patience_counter")
    return bool(patience and waited is not None and waited >= patience)


def _metrics(attempt: AttemptPaths) -> dict[str, float]:
    """The engine's last figures: all_results.json and, from the log history, rewards."""
    found: dict[str, float] = {}
    for entry in read_object(attempt.output / "trainer_state.json").get("log_history") or []:
        for name, value in entry.items() if isinstance(entry, dict) else ():
            if name == "loss" or name.startswith(("rewards/", "eval_")):
                found[name] = value
    found.update(read_object(attempt.output / "all_results.json"))
    if _went_on(attempt):
        # The engine takes all steps for those of the rest, which may be none.
        found = {name: value for name, value in found.items() if not name.startswith("train_")}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _went_on(attempt: AttemptPaths) -> bool:
    """Whether it began from a checkpoint (compile.py)."""
    try:
        config = (attempt.root / "config.yaml").read_text(encoding="utf-8")
    except OSError:
        return False
    return "\nresume_from_checkpoint: " in config


def _last_phase(attempt: AttemptPaths) -> str:
    try:
        lines = attempt.phases.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            return str(json.loads(line)["phase"])
        except (ValueError, KeyError, TypeError):
            continue
    return ""
