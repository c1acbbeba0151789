"""Ctrl-C, SIGTERM and a closed terminal, counted: once means to end in order, twice now."""

import os
import select
import signal

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Within the block these signals are counted instead of ending the process."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "Interrupts":
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._counted) for number in NUMBERS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)

    def pause(self, seconds: float) -> None:
        """Sleep; a signal ends it early."""
        if select.select([self._read], [], [], seconds)[0]:
            os.read(self._read, 4096)

    def _counted(self, _number: int, _frame: object) -> None:
        self.count += 1
