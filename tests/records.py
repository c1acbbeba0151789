"""The records of a journal's segment, for tests that look at it before any ingester does."""

from dataclasses import dataclass
from typing import Any

import orjson

from llmops.feedback.segments import Damage, Segment, whole_lines

READ_BYTES = 4 << 20


@dataclass(frozen=True)
class Chunk:
    """Records of a segment, in order. end: the offset to read on from; the one that was given
    when there is no whole line left."""

    records: list[dict[str, Any]]
    end: int
    damaged: list[Damage]


def read(segment: Segment, offset: int = 0, limit: int = READ_BYTES) -> Chunk:
    """The records from `offset` on: about `limit` bytes of whole lines, at least one line.

    A segment that is gone, or ends before `offset`, has none.
    """
    records: list[dict[str, Any]] = []
    damaged = []
    for line in whole_lines(segment.path, offset, limit).split(b"\n")[:-1]:
        try:
            record = orjson.loads(line)
            if not isinstance(record, dict):
                raise ValueError("no JSON object")
            records.append(record)
        except ValueError as error:
            damaged.append(Damage(segment.path, offset, str(error)))
        offset += len(line) + 1
    return Chunk(records, offset, damaged)
