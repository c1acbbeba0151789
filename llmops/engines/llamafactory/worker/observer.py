"""Watches a training from inside the trainer: its phases, and whether SIGTERM ended it.

Imported by launcher.py once transformers is loaded. Steps and losses are the engine's own log's.
"""

import os
import signal
from types import FrameType
from typing import Any

from phases import Phases
from transformers import TrainerCallback


class Observer(TrainerCallback):  # type: ignore[misc]
    """terminated: a SIGTERM came while it trained."""

    def __init__(self, phases: Phases) -> None:
        self.terminated = False
        self._phases = phases

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

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._phases.enter("saving")
