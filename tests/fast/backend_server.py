"""A backend on loopback, owned by the test that starts it, that speaks OpenAI's protocol and
misbehaves on demand: it hangs, sends garbage, drops its connection, fails in mid-stream.

It stands for the wire. What a real vLLM answers through the gateway is tested in tests/engine.
A test takes over by giving `answer` a coroutine of its own.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

WORDS = ("The", " Abb", " flows", " there.")


class Asked:
    """A request as it came, and the way to answer it. number: of those on its connection."""

    def __init__(
        self,
        number: int,
        path: str,
        headers: dict[str, str],
        body: dict[str, Any],
        writer: asyncio.StreamWriter,
        stuck: threading.Event,
    ) -> None:
        self.number = number
        self.path = path
        self.headers = headers
        self.body = body
        self._writer = writer
        self._stuck = stuck

    @property
    def id(self) -> str:
        prefix = "chatcmpl-" if "chat" in self.path else "cmpl-"
        return prefix + self.headers["x-request-id"]

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        told = asyncio.get_running_loop().call_later(0.5, self._stuck.set)
        try:
            await self._writer.drain()
        finally:
            told.cancel()

    async def whole(self, body: Any, status: int = 200, headers: str = "") -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}"
        await self.raw(f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)

    async def begin(self) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        await self.raw(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())

    async def event(self, data: Any) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        event = f"data: {text}\n\n".encode()
        await self.raw(b"%x\r\n%b\r\n" % (len(event), event))

    async def chunk(self, text: str, finish: str | None = None, index: int = 0) -> None:
        piece: dict[str, Any] = {"delta": {"content": text}}
        if "chat" not in self.path:
            piece = {"text": text}
        await self.event(self.shape([{"index": index, **piece, "finish_reason": finish}]))

    async def end(self, *, done: bool = True) -> None:
        if done:
            await self.event("[DONE]")
        await self.raw(b"0\r\n\r\n")

    def shape(self, choices: list[Any], **more: Any) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.body.get("stream") else "chat.completion"
        kind = kind if "chat" in self.path else "text_completion"
        model = self.body["model"]
        return {
            "id": self.id,
            "object": kind,
            "created": 1,
            "model": model,
            "choices": choices,
        } | more

    def drop(self) -> None:
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Returns when the gateway has closed the connection."""
        await self._writer.wait_closed()


Answer = Callable[[Asked], Awaitable[None]]
USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}


async def well(asked: Asked) -> None:
    """What a healthy backend does, streamed or not."""
    if not asked.body.get("stream"):
        said = "".join(WORDS)
        part = {"message": {"role": "assistant", "content": said}}
        if "chat" not in asked.path:
            part = {"text": said}  # type: ignore[dict-item]
        choices = [{"index": 0, **part, "finish_reason": "stop"}]
        await asked.whole(asked.shape(choices, usage=USAGE))
        return
    await asked.begin()
    for word in WORDS:
        await asked.chunk(word)
    await asked.chunk("", "stop")
    if asked.body.get("stream_options", {}).get("include_usage"):
        await asked.event(asked.shape([], usage=USAGE))
    await asked.end()


async def floods(asked: Asked) -> None:
    """A stream faster than its reader, for as long as there is one."""
    await asked.begin()
    while True:
        await asked.chunk("x" * 100_000)


async def hangs(asked: Asked) -> None:
    await asked.gone()


async def hangs_in_the_middle(asked: Asked) -> None:
    await asked.begin()
    await asked.chunk("half")
    await asked.gone()


def waits(go_on: asyncio.Event) -> Answer:
    """A stream that goes on after its first piece when the test says so."""

    async def answer(asked: Asked) -> None:
        await asked.begin()
        await asked.chunk("first")
        await go_on.wait()
        await asked.chunk("", "stop")
        await asked.end()

    return answer


class BackendServer:
    """asked: what came, oldest first. dropped: set when a connection with a request in hand was
    closed by the gateway. stuck: set when the gateway has stopped reading for half a second."""

    def __init__(self) -> None:
        self.answer: Answer = well
        self.asked: list[Asked] = []
        self.dropped = threading.Event()
        self.came = threading.Event()
        self.stuck = threading.Event()
        self.url = ""
        self.loop = asyncio.new_event_loop()
        self._writers: list[asyncio.StreamWriter] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, end = 0, _end(reader)
        self._writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                pairs = (line.split(": ", 1) for line in lines if line)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                number += 1
                path, said = first.split(" ")[1], json.loads(body)
                asked = Asked(number, path, headers, said, writer, self.stuck)
                self.asked.append(asked)
                self.came.set()
                if not await self._answered(asked, end):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answered(self, asked: Asked, end: asyncio.Event) -> bool:
        """Whether the answer was given while the gateway was there."""
        answering = asyncio.ensure_future(self.answer(asked))
        watching = asyncio.ensure_future(end.wait())
        await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        if not end.is_set():
            answering.result()
            return True
        # An answer that waits for the end has it at the same moment when a connection is reset.
        self.dropped.set()
        answering.add_done_callback(lambda task: task.cancelled() or task.exception())
        answering.cancel()
        return False

    @contextmanager
    def running(self) -> Iterator["BackendServer"]:
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        thread = threading.Thread(target=self.loop.run_forever)
        thread.start()
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            thread.join()
            server.close()
            self._finish()

    def _finish(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))
        for writer in self._writers:
            writer.transport.abort()  # what is left of an answer would be sent before it is closed
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


def _end(reader: asyncio.StreamReader) -> asyncio.Event:
    """Set when the other side closes. Reading would tell it too, but take what comes before."""
    ended = asyncio.Event()

    def told(say: Callable[..., None]) -> Callable[..., None]:
        def both(*args: Any) -> None:
            say(*args)
            ended.set()

        return both

    reader.feed_eof = told(reader.feed_eof)  # type: ignore[method-assign]
    reader.set_exception = told(reader.set_exception)  # type: ignore[method-assign]
    return ended
