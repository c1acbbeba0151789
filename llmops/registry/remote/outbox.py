"""Pushes that wait for the Hub: `.llmops/outbox/`, a file each, which outlives every process.

The control process sends what is due, after a pause that grows while the Hub is away; what the Hub
refused waits for a person. A push that is sent twice is pushed once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from llmops.errors import Failed, LlmopsError, NotFound
from llmops.registry.hub.errors import HubAway
from llmops.registry.manifest import Manifest
from llmops.registry.remote.push import Pushed, push
from llmops.registry.store import Registry
from llmops.spec.grammar import Spec
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.atomic import write_json
from llmops.store.digest import sha256_text

FIRST_SECONDS, LONGEST_SECONDS = 30.0, 3600.0

Say = Callable[[str], None]


class Waiting(Spec):
    """A push. time: since when it waits; due: when it is tried next, None when that is for a person
    to say (both ISO 8601, UTC); error: what the last try met."""

    id: str
    version: str
    repository: str
    public: bool = False
    time: str
    tries: int = 0
    due: str | None
    error: str = ""


class Outbox:
    """The pushes of a project that wait. Reading creates nothing on disk."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._folder = registry.paths.outbox

    def waiting(self) -> list[Waiting]:
        """The oldest first. Raises Failed for one that cannot be read."""
        found, damaged = self._all()
        if damaged is not None:
            raise damaged
        return found

    def put(
        self,
        version: Manifest,
        repository: str,
        *,
        public: bool = False,
        error: LlmopsError | None = None,
    ) -> Waiting:
        """The same push waits once. error: what a try of it has met already."""
        id = _id(version, repository)
        known = self._read(id)
        one = Waiting(
            id=id,
            version=str(version.id),
            repository=repository,
            public=public,
            time=known.time if known else _after(0),
            due=_after(0),
        )
        one = _later(one, error) if error else one
        self._write(one)
        return one

    def get(self, id: str) -> Waiting:
        found = self._read(id)
        if found is None:
            known = [one.id for one in self.waiting()]
            raise NotFound(
                f"no push `{id}` waits",
                fix=did_you_mean(id, known) or "see `llmops models outbox list`",
            )
        return found

    def drop(self, id: str) -> None:
        """Raises NotFound when no such push waits."""
        self.get(id)
        (self._folder / f"{id}.json").unlink(missing_ok=True)

    def done(self, version: Manifest, repository: str) -> None:
        """It was pushed otherwise: it waits no more, if it did."""
        (self._folder / f"{_id(version, repository)}.json").unlink(missing_ok=True)

    def send(self, id: str, say: Say = lambda _: None) -> Pushed | None:
        """Push it now; None when another process does, or did. Raises as `push`, and it waits on:
        after a pause while the Hub is away, else for a person."""
        with self._held(id) as mine:
            one = self._read(id) if mine else None
            if one is None:
                return None
            try:
                version = self._registry.resolve(one.version)
                done = push(version, one.repository, self._registry, public=one.public, say=say)
            except LlmopsError as error:
                if self._read(id) is not None:  # else it was dropped meanwhile
                    self._write(_later(one, error))
                raise
            (self._folder / f"{id}.json").unlink(missing_ok=True)
            return done

    def send_due(self, tell: Say) -> None:
        """What is due, telling what came of each; of the Hub's being away once. Raises Failed for
        one that cannot be read, when the others were sent."""
        found, damaged = self._all()
        for one in found:
            if one.due is None or one.due > _after(0):
                continue
            try:
                if self.send(one.id) is not None:
                    tell(f"{one.version} was pushed to {one.repository}")
            except LlmopsError as error:
                if one.error != error.line:
                    tell(f"{one.version} waits in the outbox: {error.line}")
        if damaged is not None:
            raise damaged

    @contextmanager
    def _held(self, id: str) -> Iterator[bool]:
        from filelock import FileLock, Timeout

        lock = FileLock(self._registry.paths.lock(f"outbox-{id}"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _all(self) -> tuple[list[Waiting], Failed | None]:
        """Those that can be read, the oldest first, and the error of one that cannot."""
        found, damaged = [], None
        for file in self._folder.glob("*.json"):
            try:
                one = self._read(file.stem)
            except Failed as error:
                damaged = error
            else:
                found += [one] if one else []  # else it went meanwhile
        return sorted(found, key=lambda one: (one.time, one.id)), damaged

    def _read(self, id: str) -> Waiting | None:
        file = self._folder / f"{id}.json"
        try:
            return Waiting.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise Failed(
                "a push that waits cannot be read",
                where=display(file),
                fix="remove the file, and push again",
            ) from error

    def _write(self, one: Waiting) -> None:
        write_json(self._folder / f"{one.id}.json", one.model_dump(mode="json"))


def _id(version: Manifest, repository: str) -> str:
    return f"{version.name}-v{version.number}-{sha256_text(repository)[:8]}"


def _later(one: Waiting, error: LlmopsError) -> Waiting:
    asked = getattr(error, "after", None) or 0.0
    pause = max(asked, min(FIRST_SECONDS * 2.0 ** min(one.tries, 9), LONGEST_SECONDS))
    due = _after(pause) if isinstance(error, HubAway) else None
    return one.model_copy(update={"tries": one.tries + 1, "due": due, "error": error.line})


def _after(seconds: float) -> str:
    """A moment from now."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds")


def send_all(box: Outbox, id: str | None, tell: Say) -> None:
    """Push what waits, or the one, whether it is due or not. Raises the error of the last that
    waits on."""
    failed: LlmopsError | None = None
    for one in [box.get(id)] if id else box.waiting():
        try:
            done = box.send(one.id, tell)
            tell(f"{one.version} {'is at' if done else 'is being sent to'} {one.repository}")
        except LlmopsError as error:
            tell(f"{one.version} waits on: {error.line}")
            failed = error
    if failed is not None:
        raise failed


def push_or_keep(
    versions: Sequence[Manifest],
    repository: str,
    registry: Registry,
    *,
    public: bool = False,
    say: Say = lambda _: None,
) -> Iterator[Pushed]:
    """Each as `push`; once the Hub is away all that are left wait in the outbox, and the error says
    so."""
    box = Outbox(registry)
    for position, version in enumerate(versions):
        try:
            done = push(version, repository, registry, public=public, say=say)
        except HubAway as error:
            for left in versions[position:]:
                box.put(left, repository, public=public, error=error)
            more = len(versions) - position - 1
            waits = f"{version.id} and {more} more wait" if more else f"{version.id} waits"
            raise Failed(
                f"{error.what}; {waits} in the outbox",
                where=error.where,
                fix="`llmops models outbox send`; a control process sends what waits, too",
            ) from error
        box.done(version, repository)
        yield done
