"""Files of the Hub into the user's cache, each verified before anything sees it there.

huggingface_hub begins a file anew when a download was ended; here what came is kept beside the
blobs and gone on with. A snapshot's links are made when all its files are there, so that one which
is found is whole. One process downloads a repository, others wait for it and find it done.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from llmops.environments.machine import size_text
from llmops.errors import Failed, LlmopsError
from llmops.registry.hub.cache import hub_cache, is_commit, not_cached, repository
from llmops.registry.hub.client import LONGEST_WAIT, TRIES, host, hub, request_headers, speaking
from llmops.registry.hub.errors import HubAway, HubBusy
from llmops.registry.hub.listing import HubFile, Listing, listings_for, partial_name
from llmops.spec.reference import Reference
from llmops.spec.source import display
from llmops.store.atomic import full_disk, sync_file, write_text

T = TypeVar("T")
CHUNK = 1 << 20
Told = Callable[[int, int], None]
"""Called with the bytes that are there and all of them; what it raises ends the download."""


def fetch(listing: Listing, told: Told, *, wait: Callable[[float], None] = time.sleep) -> Path:
    """The snapshot, whole, in the cache; what is there is not asked for again.

    Raises HubAway when the Hub stays away, Failed when there is no space or what came is not what
    the Hub says. Whatever ends it, the next call goes on from there.
    """
    folder = repository(listing.asked)
    lock = hub_cache() / ".locks" / folder.name / "llmops.lock"
    with full_disk(folder):
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            if listing.missing:
                _refuse_small_disk(listing)
                _bring(listing, folder / "blobs", told, wait)
                _link(listing, folder)
            remember(listing)
    return listing.snapshot


def with_downloads(call: Callable[[], T], told: Callable[[str, int, int], None]) -> T:
    """What `call` returns, once the Hub's part of what it lacked was downloaded. told: called with
    a name, the bytes that are there, and all of them. Raises as `call`, `listings_for`, `fetch`."""
    brought: set[Reference] = set()
    while True:
        try:
            return call()
        except LlmopsError as error:
            wanted = not_cached(error)
            if wanted is None or wanted in brought:
                raise
            brought.add(wanted)
            for listing in listings_for(error, tries=TRIES):
                fetch(listing, partial(told, str(listing.asked)))


def free_bytes() -> int:
    """Of the disk that the cache is on, or will be."""
    there = hub_cache()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def _refuse_small_disk(listing: Listing) -> None:
    free = free_bytes()
    if listing.size > free:
        raise Failed(
            f"{listing.asked} needs {size_text(listing.size)} of disk, {size_text(free)} are free",
            where=display(hub_cache()),
            fix="free some space (`hf cache rm`), or let HF_HUB_CACHE name another disk",
        )


def _bring(listing: Listing, blobs: Path, told: Told, wait: Callable[[float], None]) -> None:
    """Each blob that is not there, the small ones first."""
    blobs.mkdir(parents=True, exist_ok=True)
    whole, done = sum(file.size for file in listing.files), 0
    for file in sorted(listing.files, key=lambda one: one.size):
        if not (blobs / file.digest).is_file():
            part, final = blobs / partial_name(file), blobs / file.digest
            Blob(listing.pinned, file, part, final).bring(partial(_sum, told, done, whole), wait)
        done += file.size
    told(whole, whole)


def _sum(told: Told, before: int, whole: int, there: int) -> None:
    told(before + there, whole)


def remember(listing: Listing) -> None:
    """What a branch or tag named at the Hub is what it names here."""
    if not is_commit(listing.asked.part):
        write_text(repository(listing.asked) / "refs" / listing.asked.part, listing.commit)


def _link(listing: Listing, folder: Path) -> None:
    """Weights last: without them it is no model."""
    for file in sorted(listing.files, key=lambda one: one.name.endswith(".safetensors")):
        link = listing.snapshot / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link.symlink_to(os.path.relpath(folder / "blobs" / file.digest, link.parent))


class Blob:
    """One file on its way: of the repository and commit `pinned`, into `partial` as far as it came,
    which becomes `final`."""

    def __init__(self, pinned: Reference, file: HubFile, partial: Path, final: Path) -> None:
        self.pinned, self.file = pinned, file
        self.partial, self.final = partial, final

    def bring(
        self, told: Callable[[int], None], wait: Callable[[float], None] = time.sleep
    ) -> None:
        """Tried again as long as something comes, else as often as other requests."""
        failed, before = 0, -1
        while True:
            try:
                self._stream(told)
                break
            except HubAway as error:
                now = self._size()
                failed, before = (failed + 1, before) if now <= before else (1, now)
                pause = error.after if isinstance(error, HubBusy) else None
                pause = 2.0 ** (failed - 1) if pause is None else pause
                if failed == TRIES or pause > LONGEST_WAIT:
                    raise
                wait(pause)
        sync_file(self.partial)
        os.replace(self.partial, self.final)

    def _stream(self, told: Callable[[int], None]) -> None:
        """What is missing of it, to its end, and the whole verified."""
        with self.partial.open("ab+") as kept:
            digest = self._begun(kept)
            if kept.tell() < self.file.size:
                with speaking(str(self.pinned)):
                    self._append(kept, digest, told)
        if digest.hexdigest() != self.file.digest:
            self.partial.unlink()
            raise Failed(
                f"`{self.file.name}` did not come as the Hub says that it is "
                f"({digest.name} {self.file.digest[:12]}…)",
                where=str(self.pinned),
                fix="run it again, which begins this file anew; should it last, look at the "
                f"proxies between here and {host()}",
            )

    def _begun(self, kept: Any) -> Any:
        """The digest of what is there. Git's covers the size, too."""
        if self._size() > self.file.size:
            kept.truncate(0)
        large = len(self.file.digest) == 64
        digest = hashlib.sha256() if large else hashlib.sha1(usedforsecurity=False)
        if not large:
            digest.update(b"blob %d\0" % self.file.size)
        kept.seek(0)
        while chunk := kept.read(CHUNK):
            digest.update(chunk)
        return digest

    def _size(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _append(self, kept: Any, digest: Any, told: Callable[[int], None]) -> None:
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import hf_raise_for_status

        url = hf_hub_url(
            self.pinned.target,
            self.file.name,
            repo_type="dataset" if self.pinned.file else "model",
            revision=self.pinned.part,
            endpoint=hub().endpoint,
        )
        start = kept.tell()
        headers = {**request_headers(), "Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={start}-"} if start else {}
        with get_session().stream("GET", url, headers=headers) as answer:
            hf_raise_for_status(answer)
            known = start if answer.status_code == 200 else 0  # a server that heeds no range
            for chunk in answer.iter_bytes():  # as it comes: what is gathered would be lost
                new, known = chunk[known:], max(0, known - len(chunk))
                kept.write(new)
                digest.update(new)
                told(kept.tell())
                if kept.tell() > self.file.size:  # nothing that is still to come makes it right
                    break
