"""Journals and records for the tests of what comes after the journal: the database, its queries,
erasure. Records are complete, as a gateway writes them; the journal is written by the real one."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from llmops.feedback.identity import Identity
from llmops.feedback.journal import Journal
from llmops.store.paths import ProjectPaths

IDENTITY = Identity(b"a secret of the tests, 32 bytes ..")
NOW = 1_760_000_000_000


def answer(number: int = 0, **changes: Any) -> dict[str, Any]:
    """An InferenceRecord; each number gives another one, always the same."""
    text = f"Answer number {number}: the Ebb flows past Abbern."
    return {
        "format": 1,
        "type": "inference",
        "id": f"{number:040d}",
        "time": NOW + number,
        "deployment": "town",
        "variant": ("control", "candidate")[number % 2],
        "version": ("town:v1", "town:v2")[number % 2],
        "generation": 3,
        "unit": f"user:{IDENTITY.user(f'user {number % 10}')}",
        "user": IDENTITY.user(f"user {number % 10}"),
        "session": None,
        "endpoint": "chat",
        "stream": False,
        "messages": [{"role": "user", "content": f"Question {number}: which river?"}],
        "prompt": None,
        "parameters": {"temperature": 0.7},
        "choices": [{"index": 0, "text": text, "tool_calls": None, "finish_reason": "stop"}],
        "prompt_tokens": 12,
        "completion_tokens": 34,
        "first_token_ms": 5.5,
        "total_ms": 120.25,
        "status": 200,
        "error": None,
        "group": None,
        "position": None,
        "source": None,
        **changes,
    }


def event(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A FeedbackRecord, a thumb about the answer of the same number."""
    return {
        "format": 1,
        "type": "feedback",
        "id": f"event-{number}",
        "time": NOW + 1000 + number,
        "deployment": "town",
        "inference": f"{number:040d}",
        "other": None,
        "kind": "thumbs",
        "name": None,
        "value": float(number % 2),
        "choice": None,
        "text": None,
        "detail": {},
        "user": None,
        "source": None,
        **changes,
    }


def write(
    paths: ProjectPaths, records: Iterable[Any], writer: str = "town-1", **sizes: Any
) -> Path:
    """Write records (or raw lines, as bytes) with a journal that is closed then; its directory."""

    async def run() -> None:
        journal = Journal(paths.journal, writer, **sizes)
        for record in records:
            line = record if isinstance(record, bytes) else orjson.dumps(record)
            if sizes:
                await journal.append(line)  # what is written at once shares a segment
            else:
                journal.append_soon(line)
        await journal.close()

    asyncio.run(run())
    return paths.journal / writer
