"""A backend that answers at once, in a process of its own: what is measured is the gateway.

    python benchmarks/gateway_upstream.py        prints its port

One answer of fixed bytes for each request, or a stream of five chunks when the body asks for one;
`"slow": SECONDS` in the body spreads a stream's chunks. It parses HTTP with httptools and nothing
else; ids and models are those of vLLM: X-Request-Id and the request's model.
"""

import asyncio
import re
import sys
from typing import Any

import uvloop
from httptools import HttpRequestParser

_MODEL = re.compile(rb'"model": ?"([^"]+)"')
_SLOW = re.compile(rb'"slow": ?([0-9.]+)')
TEXT = b"The river Abb flows past it, and a mill stands there."
_USAGE = b'"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}'


class Backend(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.parser = HttpRequestParser(self)
        self.on_message_begin()

    def on_message_begin(self) -> None:
        self.request_id = b"none"
        self.body = b""

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-request-id":
            self.request_id = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        found = _MODEL.search(self.body)
        model = found[1] if found else b"none"
        head = b'{"id":"chatcmpl-%b","created":1,"model":"%b",' % (self.request_id, model)
        if b'"stream":true' not in self.body and b'"stream": true' not in self.body:
            answer = head + (
                b'"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",'
                b'"content":"%b"},"finish_reason":"stop"}],%b}' % (TEXT, _USAGE)
            )
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(answer)
                + answer
            )
            return
        chunks = [
            head + b'"object":"chat.completion.chunk","choices":[{"index":0,"delta":'
            b'{"content":" %b"},"finish_reason":null}]}' % word
            for word in TEXT.split()[:5]
        ]
        chunks.append(
            head + b'"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},'
            b'"finish_reason":"stop"}]}'
        )
        if b"include_usage" in self.body:
            chunks.append(head + b'"object":"chat.completion.chunk","choices":[],%b}' % _USAGE)
        slow = _SLOW.search(self.body)
        self.stream([*chunks, b"[DONE]"], float(slow[1]) if slow else 0.0)

    def stream(self, chunks: list[bytes], pause: float) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        self.chunks = chunks
        self.pause = pause
        self.next_chunk()

    def next_chunk(self) -> None:
        while self.chunks:
            event = b"data: " + self.chunks.pop(0) + b"\n\n"
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            if self.pause and self.chunks:
                asyncio.get_running_loop().call_later(self.pause, self.next_chunk)
                return
        self.transport.write(b"0\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Backend, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
