"""Asking many things of a server, each at most once: what was answered is kept, whatever happens.

An answer is kept as soon as it is there, under the digest of what was asked; a server that dies
midway costs only what had not been answered. A question that fails is asked again a little later,
twice; then it ends the evaluation, because a rate over the items that happened to be answered
would be a rate of something else.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmops.errors import Failed
from llmops.store.atomic import full_disk

CONCURRENCY = 16
PAUSES = (0.5, 2.0)
"""Seconds before a question is asked again."""

Value = dict[str, Any]
Ask = Callable[[], Value]


class Unanswerable(Failed):
    """Asking again would not help."""


class Kept:
    """The answers of one file of JSON lines, by the digest of what was asked. Lines that a crash
    cut off are left aside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = dict(_lines(path))
        self._guard = threading.Lock()

    @contextmanager
    def writing(self) -> Iterator[Callable[[str, Value], None]]:
        """A function that keeps one more answer; it may be called from any thread."""
        with full_disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                _end_the_line(file)

                def keep(key: str, value: Value) -> None:
                    line = json.dumps({"key": key, **value}, ensure_ascii=False) + "\n"
                    with self._guard:
                        file.write(line.encode())
                        file.flush()
                        self.values[key] = value

                yield keep


def _end_the_line(file: Any) -> None:
    """A line that was cut off must not swallow the next one."""
    if file.tell() and (file.seek(-1, 2), file.read(1))[1] != b"\n":
        file.write(b"\n")


def _lines(path: Path) -> Iterator[tuple[str, Value]]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            value = json.loads(line)
            yield str(value.pop("key")), value


def collect(
    questions: Mapping[str, Ask],
    kept: Kept,
    *,
    name: Callable[[str], str],
    report: Callable[[int, int], None],
    concurrency: int = CONCURRENCY,
    pauses: Iterable[float] = PAUSES,
) -> dict[str, Value]:
    """The answer to each question, by its key; those that are kept already are not asked again.

    name: the question of a key, for errors. report: called with how many are answered, of all.
    Raises Failed when one is not answered, after the others under way have ended.
    """
    open_ = {key: ask for key, ask in questions.items() if key not in kept.values}
    done = len(questions) - len(open_)
    report(done, len(questions))
    if open_:
        stop = threading.Event()
        with kept.writing() as keep, ThreadPoolExecutor(concurrency) as pool:
            jobs = {
                pool.submit(_persist, ask, stop, tuple(pauses)): key for key, ask in open_.items()
            }
            try:
                for job in as_completed(jobs):
                    keep(jobs[job], job.result())
                    done += 1
                    report(done, len(questions))
            except BaseException as error:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                done += _rescue(jobs, kept, keep)
                if isinstance(error, Failed):
                    raise _gave_up(error, name(jobs[job]), done, len(questions)) from error
                raise
    return {key: kept.values[key] for key in questions}


def _rescue(jobs: Mapping[Any, str], kept: Kept, keep: Callable[[str, Value], None]) -> int:
    """Keep the answers that came while another question failed."""
    count = 0
    for job, key in jobs.items():
        if key in kept.values or not job.done() or job.cancelled() or job.exception():
            continue
        keep(key, job.result())
        count += 1
    return count


def _persist(ask: Ask, stop: threading.Event, pauses: tuple[float, ...]) -> Value:
    for pause in pauses:
        try:
            return ask()
        except Unanswerable:
            raise
        except Failed:
            if stop.wait(pause):
                raise
    return ask()


def _gave_up(error: Failed, name: str, done: int, total: int) -> Failed:
    fix = f"{done:,} of {total:,} answers are kept; the same command goes on from there"
    return Failed(
        f"{name} was not answered: {error.what}",
        where=error.where,
        fix="\n  ".join(part for part in (error.fix, fix) if part),
    )
