"""People who look at a page of the UI, as the UI's process meets them: each asks once a second what
a browser that shows that page was seen to ask. What their browsers draw costs other machines.

    python benchmarks/crowd.py URL BODY COUNT      until SIGTERM
"""

import asyncio
import contextlib
import json
import signal
import sys

import httpx


async def main(url: str, body: str, count: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        people = [asyncio.create_task(_look(client, url, body, i, count)) for i in range(count)]
        await stop.wait()
        for one in people:
            one.cancel()
        await asyncio.gather(*people, return_exceptions=True)


async def _look(client: httpx.AsyncClient, url: str, body: str, place: int, count: int) -> None:
    mine = json.dumps({**json.loads(body), "session_hash": f"crowd{place}"})
    await asyncio.sleep(place / count)
    while True:
        rest = asyncio.create_task(asyncio.sleep(1))
        with contextlib.suppress(httpx.TransportError):
            await client.post(url, content=mine, headers={"content-type": "application/json"})
        await rest


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
