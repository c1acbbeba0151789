"""What a project keeps to save time, how much of it there is, and giving space back.

Kinds: files of what was found out before (store/memory.py), what judges said, tokenized data
(data/tokenized.py), and what attempts at stages left: checkpoints that a later attempt goes on
from. Losing any of it costs time only, and a damaged entry is as good as none. Engine environments,
which all projects share, are `llmops engines`'.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from llmops.engines.catalog import ENGINES, find_engine
from llmops.runner.stage import Context
from llmops.store.digest import sha256_file
from llmops.store.files import mark_of, read_object
from llmops.store.leftovers import leftovers, remove
from llmops.store.memory import Memory, read
from llmops.store.run_paths import AttemptPaths

Told = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """name: of a kind, an attempt or tokenized data; entries: what it remembers; used: when it was
    written, or tokens taken, last, in seconds since 1970; damaged: it is not read any more."""

    name: str
    what: str
    path: Path
    size: int
    entries: int
    used: float
    damaged: bool = False


def entries(context: Context) -> list[Entry]:
    """All of it, the kinds first, then attempts and tokenized data, the one used longest ago
    first."""
    paths = context.paths
    kinds = {
        "digests": ("sha256 of files", paths.digests),
        "inspections": ("checks of data files", paths.inspections),
        "tokens": ("lengths of samples", paths.tokens),
        "abilities": ("what suites can show", paths.abilities),
        "preferences": ("what recipes make of the log", paths.yields),
    }
    found = [_memory(name, what, file) for name, (what, file) in kinds.items() if file.is_file()]
    if paths.verdicts.is_file():
        text = paths.verdicts.read_bytes()
        what = "what judges said"
        found.append(_entry("verdicts", what, paths.verdicts, len(text), text.count(b"\n")))
    single = [*_attempts(context), *_tokenized(context)]
    return found + sorted(single, key=lambda one: one.used)


def verify(context: Context, told: Told) -> list[str]:
    """Read all that is remembered, and every remembered file again; drop what is wrong. The names
    of the kinds in which something was."""
    damaged = [one for one in entries(context) if one.damaged]
    for one in damaged:
        one.path.unlink(missing_ok=True)
    wrong = {one.name for one in damaged}
    digests = Memory(context.paths.digests)
    for file, (*mark, digest) in list(digests.entries.items()):
        if list(mark_of(Path(file)) or ()) == mark and sha256_file(Path(file)) != digest:
            told(f"{file} is not what it was, though its size and time are")
            digests.drop(file)
            wrong.add("digests")
    digests.save()
    for key in context.tokenized:
        if not context.tokenized.is_sound(key, sha256_file):
            context.tokenized.drop(key)
            wrong.add(_TOKENIZED)
    return sorted(wrong)


def collect(context: Context, budget: int | None, told: Told) -> int:
    """Remove what killed writes left, forget files that are gone or changed; then, above `budget`
    bytes, what attempts left and tokenized data, the one used longest ago first. The bytes given
    back.

    An attempt is left alone while a run is at the same thing, and its log and figures always. Of
    tokenized data a run that trains on it has its own. Versions are storage/garbage.py's.
    """
    paths = context.paths
    left = (one for one in leftovers(paths.state) if paths.models not in one.parents)
    left_over = sum(map(remove, left))
    before = sum(one.size for one in entries(context))
    _forget(context)
    kept = entries(context)
    total = sum(one.size for one in kept)
    for one in kept:
        if budget is None or total <= budget:
            break
        if one.what == _LEFT and (freed := _prune(one, context)):
            told(f"{one.name}: its checkpoints are gone")
            total -= freed
        elif one.what == _TOKENIZED:
            context.tokenized.drop(one.path.name)
            told(f"{one.name}: gone")
            total -= one.size
    return left_over + before - total


def _forget(context: Context) -> None:
    """What was found out about files that are gone or changed, and about content that no file
    has now."""
    digests = Memory(context.paths.digests)
    for file, (*mark, _) in list(digests.entries.items()):
        if list(mark_of(Path(file)) or ()) != mark:
            digests.drop(file)
    digests.save()
    there = {digest for *_, digest in digests.entries.values()}
    for memory in (Memory(context.paths.inspections), Memory(context.paths.tokens)):
        for key in list(memory.entries):
            if _content(key) not in there:
                memory.drop(key)
        memory.save()


def _content(key: str) -> str | None:
    """The digest that a key is about (data/memory.py, data/tokens.py); None for one of an older
    form."""
    try:
        return str(json.loads(key)[1])
    except (ValueError, TypeError, IndexError):
        return None


_LEFT = "what an attempt left"
_TOKENIZED = "tokenized data"


def _attempts(context: Context) -> Iterator[Entry]:
    for record in context.paths.runs.glob("*/*/*/attempt.json"):
        folder = record.parent
        yield _entry("/".join(folder.parts[-3:]), _LEFT, folder, _size(folder, lent=False), 1)


def _tokenized(context: Context) -> Iterator[Entry]:
    for key in context.tokenized:
        place = context.tokenized.place(key)
        with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
            yield _entry(f"tokens/{key[:12]}", _TOKENIZED, place, _size(place), 1)


def _prune(attempt: Entry, context: Context) -> int:
    """The bytes that went with its checkpoints and weights; 0 while a run is at the same thing."""
    paths = AttemptPaths(attempt.path)
    mark = str(read_object(paths.record).get("fingerprint", ""))[:24]
    lock = FileLock(context.paths.lock(f"stage-{mark}"))
    context.paths.locks.mkdir(parents=True, exist_ok=True)
    try:
        with lock.acquire(timeout=0):
            for name in ENGINES:
                find_engine(name).prune(paths)
    except Timeout:
        return 0
    return attempt.size - _size(attempt.path, lent=False)


def _memory(name: str, what: str, file: Path) -> Entry:
    known = read(file)
    entry = _entry(name, what, file, file.stat().st_size, len(known or ()))
    return entry if known is not None else Entry(**{**vars(entry), "damaged": True})


def _entry(name: str, what: str, path: Path, size: int, count: int) -> Entry:
    return Entry(name, what, path, size, count, path.stat().st_mtime)


def _size(folder: Path, *, lent: bool = True) -> int:
    """The bytes of its files. lent: also of those that lie elsewhere too. What is removed meanwhile
    counts no more."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                stat = os.lstat(os.path.join(place, name))
                total += stat.st_size if lent or stat.st_nlink == 1 else 0
    return total
