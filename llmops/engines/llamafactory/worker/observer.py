"""Watches a training from inside the trainer: its phases, whether SIGTERM ended it or it was asked
to end early, and the figures that the engine's own log leaves out.

Imported by launcher.py once transformers is loaded. Steps and losses are the engine's own log's.
"""

import json
import os
import signal
from types import FrameType
from typing import Any

from footprint import Footprint
from phases import Phases, append
from transformers import TrainerCallback

_FIGURES = {"grad_norm": "grad_norm", "rewards/margins": "margin"}


class Observer(TrainerCallback):  # type: ignore[misc]
    """terminated: a SIGTERM came while it trained; asked: the control plane wanted it to end.

    figures: where they go, as lines of JSON; stop: the file that asks (both may be None).
    beta: what makes rewards of log-probabilities, where there is a reference model.
    """

    def __init__(
        self, phases: Phases, figures: str | None, stop: str | None, beta: float | None = None
    ) -> None:
        self.terminated = False
        self.asked = False
        self._phases = phases
        self._figures = figures if os.environ.get("RANK", "0") == "0" else None
        self._stop = stop
        self._footprint = Footprint()
        self._beta = beta

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._phases.enter("training")
        before = signal.getsignal(signal.SIGTERM)

        def note(number: int, frame: FrameType | None) -> None:
            self.terminated = True
            if callable(before):
                before(number, frame)
            else:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.kill(os.getpid(), number)

        signal.signal(signal.SIGTERM, note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Comes before the engine's own: whoever reads a step in its log finds the figures here."""
        if self._figures is not None and "loss" in (logs or {}):
            named = {ours: logs[name] for name, ours in _FIGURES.items() if name in logs}
            line = {"step": state.global_step, **named, **chosen(logs, self._beta)}
            append(self._figures, json.dumps({**line, **memory(self._footprint)}))
        if self._stop is not None and agreed(os.path.exists(self._stop), args):
            self.asked = True
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._phases.enter("saving")


def beta(config: dict[str, Any]) -> float | None:
    """Of a training whose rewards are beta times what the log-probability has changed by since the
    reference model; ORPO and SimPO have none."""
    compares = config["stage"] in ("dpo", "kto") and config.get("pref_loss", "sigmoid") == "sigmoid"
    return float(config.get("pref_beta", 0.1)) if compares else None


def chosen(logs: dict[str, Any], beta: float | None) -> dict[str, float]:
    """The mean log-probability of the chosen answers, now and in the reference model."""
    now, reward = logs.get("logps/chosen"), logs.get("rewards/chosen")
    if not beta or now is None or reward is None:
        return {}
    return {"chosen": now, "chosen_before": now - reward / beta}


def memory(footprint: Footprint) -> dict[str, int]:
    """The most so far, in bytes: of the machine's memory by all processes of the training, and of
    this process's device."""
    import torch

    taken = footprint.look()
    found = {"memory_bytes": taken} if taken else {}
    if torch.cuda.is_available():
        found["device_memory_bytes"] = torch.cuda.max_memory_reserved()
    return found


def agreed(here: bool, args: Any) -> bool:
    """What the first process says, in all of them: one that ends alone leaves the others waiting
    for it."""
    import torch.distributed as distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return here
    import torch

    told = torch.tensor([int(here)], device=args.device)
    distributed.broadcast(told, src=0)
    return bool(told.item())
