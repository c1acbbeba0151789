"""Load for the gateway benchmark, in a process of its own: prints one line of JSON.

    python benchmarks/gateway_load.py URL MODEL (closed CONNECTIONS | rate PER_SECOND | streams N) \
        SECONDS [SLOW]

closed: so many connections, each asking again when it is answered. rate: requests begin at fixed
times, whatever became of the earlier ones, and are timed from then. streams: so many at once,
once. Times in seconds; `first` is the time to the first chunk.
"""

import asyncio
import json
import sys
import time

import uvloop

from llmops.gateway.backend import Backend
from llmops.gateway.connection import BackendError, Waits
from llmops.gateway.routes import Upstream

PATH = "/v1/chat/completions"
LIMIT = 1 << 20


class Load:
    def __init__(self, url: str, model: str, slow: float = 0.0) -> None:
        self.backend = Backend(Upstream(url=url), Waits(connect=30.0, first=60.0, between=60.0))
        message = {"role": "user", "content": "Which river flows past Abbern?"}
        body = {"model": model, "messages": [message], "max_tokens": 16, "user": "u1"}
        self.body = json.dumps(body).encode()
        self.streamed = json.dumps({**body, "stream": True, "slow": slow}).encode()
        self.times: list[float] = []
        self.first: list[float] = []
        self.failed = 0

    async def one(self, began: float) -> None:
        try:
            connection = await self.backend.ask(PATH, self.body, b"Authorization: Bearer sk-1\r\n")
            raw = await connection.rest(LIMIT)
            status = connection.status
            self.backend.give_back(connection)
            if status != 200 or b'"choices"' not in raw:
                self.failed += 1
        except BackendError:
            self.failed += 1
        self.times.append(time.perf_counter() - began)

    async def stream(self) -> None:
        began = time.perf_counter()
        last = b""
        try:
            connection = await self.backend.ask(
                PATH, self.streamed, b"Authorization: Bearer sk-1\r\n"
            )
            first = await connection.piece()
            self.first.append(time.perf_counter() - began)
            last = first or b""
            while (piece := await connection.piece()) is not None:
                last = last[-4096:] + piece
            self.backend.give_back(connection)
        except BackendError:
            self.failed += 1
        else:
            self.failed += b'"stop"' not in last or not last.endswith(b"data: [DONE]\n\n")
        self.times.append(time.perf_counter() - began)

    async def closed(self, connections: int, seconds: float) -> None:
        end = time.perf_counter() + seconds

        async def client() -> None:
            while (began := time.perf_counter()) < end:
                await self.one(began)

        await asyncio.gather(*(client() for _ in range(connections)))

    async def rate(self, per_second: int, seconds: float) -> None:
        began, tasks = time.perf_counter() + 0.05, set()
        for number in range(int(per_second * seconds)):
            due = began + number / per_second
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(self.one(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks)

    async def streams(self, count: int, seconds: float) -> None:
        """count at once; with `seconds`, again and again until they are over."""
        end = time.perf_counter() + seconds
        while True:
            await asyncio.gather(*(self.stream() for _ in range(count)))
            if time.perf_counter() >= end:
                return


async def main(url: str, model: str, kind: str, number: str, seconds: str, slow: str = "0") -> None:
    load = Load(url, model, float(slow))
    began = time.perf_counter()
    await getattr(load, kind)(int(number), float(seconds))
    wall = time.perf_counter() - began
    told = {"wall": wall, "failed": load.failed, "times": load.times, "first": load.first}
    print(json.dumps(told))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
