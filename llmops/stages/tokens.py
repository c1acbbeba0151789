"""Tokenized data of a training stage: taken from the cache, or left there for the next one.

The engine is never pointed into the cache. Whatever goes wrong with it costs the time to tokenize
once more, and no training.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from llmops.data.tokenized import DATA, key_of
from llmops.engines.contract import Command, Keep, ModelFiles, Progress, TrainJob
from llmops.errors import Failed, LlmopsError
from llmops.runner.stage import Attempt, Context
from llmops.spec.source import display


def tokens_key(command: Command | None, base: ModelFiles, context: Context) -> str | None:
    """Of what a stage's command would tokenize; None where that is not known, or not kept."""
    if command is None or command.tokens is None or not base.directory.is_dir():
        return None
    return key_of(command.tokens, base.directory, context.digests.file)


def cached(key: str | None, context: Context) -> tuple[str, ...]:
    """What a plan says of it."""
    return ("tokens: cached",) if key is not None and context.tokenized.is_sound(key) else ()


class Tokens:
    """The tokenized data of one attempt. command: the stage's, as planned."""

    def __init__(
        self, command: Command | None, job: TrainJob, attempt: Attempt, context: Context
    ) -> None:
        self._command = None if attempt.forced else command
        self._job = job
        self._attempt = attempt
        self._context = context
        self._folder = attempt.paths.tokenized
        self._key = self._key_now()

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
        """Put what the engine has made into the cache, once it is there. Raises Failed when it was
        made of other data than was planned: a version of it would be called what it is not."""
        if self._key is None or not (self._folder / DATA).is_dir():
            return
        key, self._key = self._key, None
        job, held = self._job, self._job.validation
        sources = [*job.train, *(held if isinstance(held, Sequence) else ())]
        try:
            changed = [one for one in sources if self._digest(one.path) != one.sha256]
            if not changed and self._key_now() == key:
                self._context.tokenized.keep(key, self._folder, sources)
        except (OSError, LlmopsError) as error:
            self._warn(f"tokenized data is not kept: {error}")
            return
        for one in changed:
            raise Failed(
                "the data changed while it was read: it is not what was planned",
                where=display(one.path),
                fix="run it again once nothing writes to it",
            )

    def _digest(self, path: Path) -> str:
        return self._context.digests.file(path)

    def _key_now(self) -> str | None:
        return tokens_key(self._command, self._job.base, self._context)

    def _lent(self, key: str) -> bool:
        if not self._context.tokenized.place(key).exists():
            return False
        self._attempt.report(Progress("taking tokenized data from the cache"))
        try:
            if self._context.tokenized.lend(key, self._folder / DATA):
                return True
        except OSError as error:
            self._warn(f"cached tokens cannot be used: {error}")
            shutil.rmtree(self._folder, ignore_errors=True)
            return False
        self._warn("cached tokens are damaged: they are removed, and made anew")
        return False

    def _warn(self, told: str) -> None:
        self._attempt.report(Progress("starting", warning=told))
