"""Tokenized data of a training stage: taken from the cache, or left there for the next one.

The engine is never pointed into the cache. Whatever goes wrong with it costs the time to tokenize
once more, and no training.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from llmops.data.tokenized import DATA, key_of
from llmops.engines.contract import Command, Keep, ModelFiles, Progress, TrainJob
from llmops.errors import LlmopsError
from llmops.runner.stage import Attempt, Context


def tokens_key(command: Command | None, base: ModelFiles, context: Context) -> str | None:
    """Of what a stage's command would tokenize; None where that is not known, or not kept."""
    if command is None or command.tokens is None or not base.directory.is_dir():
        return None
    return key_of(command.tokens, base.directory, context.digests.file)


def cached(key: str | None, context: Context) -> tuple[str, ...]:
    """What a plan says of it."""
    return ("tokens: cached",) if key is not None and context.tokenized.is_sound(key) else ()


class Tokens:
    """The tokenized data of one attempt. key: None where none is kept."""

    def __init__(self, key: str | None, job: TrainJob, attempt: Attempt, context: Context) -> None:
        self._key = key
        self._job = job
        self._attempt = attempt
        self._context = context
        self._folder = attempt.paths.tokenized

    @contextmanager
    def given(self, spare: int) -> Iterator[TrainJob]:
        """The job with its tokenized data, or with where to leave it. spare: bytes of the disk that
        training itself needs. Nothing of it stays in the attempt."""
        data = self._folder / DATA
        try:
            if self._key is None:
                yield self._job
            elif self._lent(self._key):
                self._key = None
                yield replace(self._job, tokenized=data)
            else:
                yield replace(self._job, keep=Keep(data, spare))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def keep(self) -> None:
        """Put what the engine has made into the cache, once it is there."""
        if self._key is None or not (self._folder / DATA).is_dir():
            return
        key, self._key = self._key, None
        job, held = self._job, self._job.validation
        sources = [*job.train, *(held if isinstance(held, Sequence) else ())]
        digest = self._context.digests.file
        try:
            if all(digest(one.path) == one.sha256 for one in sources):
                self._context.tokenized.keep(key, self._folder, sources)
            else:
                self._warn("the data changed since it was planned: what it became is not kept")
        except (OSError, LlmopsError) as error:
            self._warn(f"tokenized data is not kept: {error}")

    def _lent(self, key: str) -> bool:
        if not self._context.tokenized.place(key).exists():
            return False
        try:
            if self._context.tokenized.lend(key, self._folder / DATA):
                self._attempt.report(Progress("taking tokenized data from the cache"))
                return True
        except OSError as error:
            self._warn(f"cached tokens cannot be used: {error}")
            shutil.rmtree(self._folder, ignore_errors=True)
            return False
        self._warn("cached tokens are damaged: they are removed, and made anew")
        return False

    def _warn(self, told: str) -> None:
        self._attempt.report(Progress("starting", warning=told))
