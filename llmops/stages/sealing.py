"""Noting what checkpoints are, beside the engine that writes them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llmops.engines.contract import Engine
from llmops.store.run_paths import AttemptPaths

SECONDS = 2.0
"""Between two looks for new ones."""


@contextmanager
def sealing(engine: Engine, paths: AttemptPaths) -> Iterator[None]:
    """Within the block checkpoints are sealed as they come; at its end the last ones, of an attempt
    that may be gone on with: one that was finished needs none."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(SECONDS):
            engine.seal(paths)

    thread = threading.Thread(target=look, name="seals of checkpoints", daemon=True)
    thread.start()
    try:
        try:
            yield
        finally:
            over.set()
            thread.join()
    except BaseException:
        engine.seal(paths, ended=True)
        raise
