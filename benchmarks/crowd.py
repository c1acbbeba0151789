"""People who open a page of the UI and look at it, as its process meets them: each asks what a
browser that opened that page was seen to ask, over six connections as browsers do, holds its
heartbeat, and then asks once a second. What their browsers draw costs other machines.

    python benchmarks/crowd.py COUNT      until SIGTERM; standard input: a line of JSON (Seen),
                                          then an empty one once they shall open the page
"""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass

CONNECTIONS = 6
TICK_SECONDS = 1.0


@dataclass(frozen=True)
class Seen:
    """What a browser asked. page: the path that was opened; files: what it then loaded; heartbeat:
    the path, with its session at the end; event: where events go, with the bodies of the first one
    and of those that came again and again."""

    port: int
    page: str
    files: list[str]
    heartbeat: str
    event: str
    show: str
    tick: str


class Person:
    def __init__(self, seen: Seen, place: int) -> None:
        self.seen = seen
        self.session = f"crowd{place}"

    async def open(self) -> None:
        """The page, its files, and what it shows first."""
        await self._fetch([self.seen.page])
        files = self.seen.files
        await asyncio.gather(*(self._fetch(files[i::CONNECTIONS]) for i in range(CONNECTIONS)))
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.seen.port)
        await self._tell(self.seen.show)

    async def look(self) -> None:
        _, heartbeat = await asyncio.open_connection("127.0.0.1", self.seen.port)
        path = f"{self.seen.heartbeat.rpartition('/')[0]}/{self.session}"
        heartbeat.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        while True:
            rest = asyncio.create_task(asyncio.sleep(TICK_SECONDS))
            await self._tell(self.seen.tick)
            await rest

    async def _tell(self, body: str) -> None:
        mine = json.dumps({**json.loads(body), "session_hash": self.session})
        await _ask(self.reader, self.writer, "POST", self.seen.event, mine)

    async def _fetch(self, paths: list[str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.seen.port)
        for path in paths:
            await _ask(reader, writer, "GET", path)
        writer.close()


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    path: str,
    body: str = "",
) -> None:
    content = body.encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + content)
    told = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in told.partition(b"\r\n")[0]:
        raise RuntimeError(f"{method} {path}: {told.decode()}")
    await reader.readexactly(int(told.partition(b"content-length:")[2].split()[0]))


async def main(count: int) -> None:
    loop = asyncio.get_running_loop()
    seen = Seen(**json.loads(await loop.run_in_executor(None, sys.stdin.readline)))
    people = [Person(seen, place) for place in range(count)]
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    await asyncio.gather(*(one.open() for one in people))
    print("looking", flush=True)
    await asyncio.gather(*(_look(one, i / count) for i, one in enumerate(people)))


async def _look(person: Person, later: float) -> None:
    await asyncio.sleep(later)
    await person.look()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
