"""The gateway's command line: `python -m llmops.gateway --root ROOT --deployment NAME`.

Started by `llmops serve` and `llmops gateway`, which write the routing table that it follows.
"""

import argparse
import sys
from pathlib import Path

from llmops.errors import LlmopsError
from llmops.gateway.connection import Waits
from llmops.gateway.options import BODY_LIMIT, DRAIN_SECONDS, Options
from llmops.store import logs


def main() -> int:
    waits = Waits()
    parser = argparse.ArgumentParser(
        prog="python -m llmops.gateway", description="The gateway of one deployment."
    )
    parser.add_argument("--root", type=Path, required=True, help="the project's directory")
    parser.add_argument("--deployment", required=True, metavar="NAME")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--uds", type=Path, help="listen at this Unix socket instead")
    parser.add_argument("--require-keys", action="store_true", help="API keys on loopback too")
    parser.add_argument("--body-limit", type=int, default=BODY_LIMIT, metavar="BYTES")
    parser.add_argument("--drain", type=float, default=DRAIN_SECONDS, metavar="SECONDS")
    parser.add_argument("--connect", type=float, default=waits.connect, metavar="SECONDS")
    parser.add_argument("--first-byte", type=float, default=waits.first, metavar="SECONDS")
    parser.add_argument("--between-bytes", type=float, default=waits.between, metavar="SECONDS")
    given = vars(parser.parse_args())
    waits = Waits(*(given.pop(name) for name in ("connect", "first_byte", "between_bytes")))
    options = Options(**given, waits=waits)
    try:
        from llmops.gateway.server import run

        run(options)
    except LlmopsError as error:
        logs.say_error(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
