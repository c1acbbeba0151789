"""The journal against the disk's own fdatasync: durable feedback events a second, and latency.

Each side runs once a round, in a directory beside the project (so on its disk), with one event
loop (uvloop, as in the gateway). An event goes the gateway's way: a client's JSON is parsed,
checked, made into a record (about 340 bytes), appended, and counts when its fdatasync is done.
"""

import asyncio
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import orjson
import uvloop

from llmops.feedback.acceptance import accept
from llmops.feedback.identity import Identity
from llmops.feedback.journal import Journal, writer_name

IDENTITY = Identity(b"benchmark secret of 32 characters")
EVENTS = 20_000
ALONE = 2_000
APPENDERS = (1, 32, 256)
PACE = 1_000
"""Events a second that arrive whether the ones before are done or not."""


def body() -> bytes:
    """What a client sends for a vote."""
    said = {"kind": "thumbs", "value": "up", "user": "user-17", "event_id": "vote-1234567"}
    return orjson.dumps({**said, "inference_id": f"chatcmpl-{IDENTITY.new_id('town')}"})


def record(sent: bytes) -> bytes:
    return orjson.dumps(
        accept(
            orjson.loads(sent), identity=IDENTITY, deployment="town", window=1e6, now=time.time()
        )
    )


class Timed:
    """One side of one round: seconds of each operation, and of all."""

    def __init__(self) -> None:
        self.each: list[float] = []
        self.all = 0.0

    def rate(self) -> float:
        return len(self.each) / self.all

    def percentile(self, percent: int) -> float:
        """In milliseconds."""
        return statistics.quantiles(self.each, n=100)[percent - 1] * 1000


def disk(size: int, folder: Path) -> Timed:
    """One write and one fdatasync after the other, of one record each."""
    timed, line = Timed(), b"x" * size
    handle = os.open(folder / "alone", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    began = time.perf_counter()
    for _ in range(ALONE):
        start = time.perf_counter()
        os.write(handle, line)
        os.fdatasync(handle)
        timed.each.append(time.perf_counter() - start)
    timed.all = time.perf_counter() - began
    os.close(handle)
    return timed


async def event(own: Journal, sent: bytes, timed: Timed) -> None:
    line = record(sent)
    start = time.perf_counter()
    await own.append(line)
    timed.each.append(time.perf_counter() - start)


async def closed_loop(appenders: int, own: Journal, timed: Timed) -> None:
    """As many who wait for their own event and then send the next."""
    bodies = [body() for _ in range(ALONE if appenders == 1 else EVENTS)]

    async def appender() -> None:
        while bodies:
            await event(own, bodies.pop(), timed)

    began = time.perf_counter()
    await asyncio.gather(*(appender() for _ in range(appenders)))
    timed.all = time.perf_counter() - began


async def paced(own: Journal, timed: Timed) -> None:
    """`PACE` events a second, for two seconds."""
    bodies = [body() for _ in range(2 * PACE)]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, sent in enumerate(bodies):
            await asyncio.sleep(began + number / PACE - time.perf_counter())
            group.create_task(event(own, sent, timed))
    timed.all = time.perf_counter() - began


def journal(use: Callable[[Journal, Timed], Awaitable[None]], folder: Path) -> Timed:
    timed = Timed()

    async def run() -> None:
        own = Journal(folder, writer_name("bench"))
        await use(own, timed)
        await own.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return timed


def sides() -> dict[str, Callable[[Path], Timed]]:
    size = len(record(body())) + 1
    found: dict[str, Callable[[Path], Timed]] = {
        f"write + fdatasync alone, {size} bytes": functools.partial(disk, size),
        f"journal, {PACE:,} a second": functools.partial(journal, paced),
    }
    for count in APPENDERS:
        use = functools.partial(closed_loop, count)
        found[f"journal, {count} at a time"] = functools.partial(journal, use)
    return found


def rounds_of(count: int) -> dict[str, list[Timed]]:
    """Each side once a round."""
    results: dict[str, list[Timed]] = {name: [] for name in sides()}
    for number in range(count):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            for name, side in sides().items():
                timed = side(Path(folder))
                results[name].append(timed)
                print(f"  round {number + 1}/{count} {name}: {timed.rate():,.0f}/s", flush=True)
    return results


def rows(results: dict[str, list[Timed]]) -> list[tuple[str, str, str]]:
    """What, median, spread."""
    found = []
    for name, rounds in results.items():
        rates = [timed.rate() for timed in rounds]
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}/s"
        found.append((f"{name}: durable events", f"{statistics.median(rates):,.0f}/s", spread))
        for percent in (50, 99):
            times = [timed.percentile(percent) for timed in rounds]
            middle = f"{statistics.median(times):.2f} ms"
            found.append((f"{name}: p{percent}", middle, milliseconds(times)))
    return found


def milliseconds(times: Sequence[float]) -> str:
    return f"{min(times):.2f} to {max(times):.2f} ms"
