"""A process that appends to a journal and says on stdout what came of each record: `ack ID` or
`refused ID`, one write each. Started by the tests of durability, which kill, trace or limit it.

    python tests/fast/journal_writer.py ROOT WRITER COUNT APPENDERS [SEGMENT_BYTES]
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from llmops.errors import Failed
from llmops.feedback.journal import Journal

TEXT = "x" * 900


async def appender(journal: Journal, name: int, count: int) -> None:
    for number in range(count):
        record = {"id": f"{name}-{number}", "text": TEXT}
        try:
            await journal.append(json.dumps(record).encode())
            said = "ack"
        except Failed:
            said = "refused"
        os.write(1, f"{said} {record['id']}\n".encode())


async def main(root: str, writer: str, count: str, appenders: str, segment: str = "65536") -> None:
    journal = Journal(Path(root), writer, segment_bytes=int(segment))
    each = int(count) // int(appenders)
    await asyncio.gather(*(appender(journal, i, each) for i in range(int(appenders))))
    await journal.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
