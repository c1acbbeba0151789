"""Triggers that are called from outside: `webhook: LLMOPS_HOOK_SECRET`.

A caller signs the time and the body with the secret; so a call cannot be made up, changed, or sent
again later. The same call sent twice, as callers do that got no answer, starts one run.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from llmops.errors import BadInput, Failed
from llmops.scheduling.firing import (
    SKIPPED,
    free_time,
    record,
    start,
    target_of,
    why_not,
)
from llmops.scheduling.sync import trigger_of
from llmops.spec.settings import Settings
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import firings, triggers

TOLERANCE_SECONDS = 300
"""How far the caller's clock may be off."""


class Unsigned(BadInput):
    """The call is not signed with the secret of a trigger that there is. It is not told which."""


@dataclass(frozen=True)
class Call:
    """id: PIPELINE/NAME; signature: `sha256=HEX`; timestamp: seconds since 1970, as sent."""

    id: str
    body: bytes
    signature: str
    timestamp: str

    @property
    def digest(self) -> str:
        """One for each call, however often it is sent."""
        text = f"{self.id}\n{self.timestamp}\n".encode() + self.body
        return hashlib.sha256(text).hexdigest()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over `TIMESTAMP.BODY`, as callers send it."""
    made = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={made.hexdigest()}"


def answer(call: Call, settings: Settings, database: sa.Engine, now: int) -> dict[str, Any]:
    """What became of a call: {"id", "outcome", "reason", "job"}. now: ms since 1970.

    Raises Unsigned; Failed where the secret is not set.
    """
    here = triggers.c.id == call.id
    with reading(database) as connection:
        row = connection.execute(sa.select(triggers).where(here)).mappings().first()
    _check(call, row, now)
    assert row is not None
    target, paths = target_of(row, settings), ProjectPaths(settings.root)
    with writing(database) as connection:
        if connection.execute(_known(call)).first() is None:
            row = connection.execute(sa.select(triggers).where(here)).mappings().one()
            due = free_time(connection, call.id, now)
            held = why_not(connection, paths, row, target, now)
            if held is None:
                start(connection, paths, row, target, due, now, "called", firing=call.digest)
            else:
                record(connection, call.id, due, now, SKIPPED, held, firing=call.digest)
        fired = connection.execute(_known(call)).mappings().one()
    return {"id": call.id, **{key: fired[key] for key in ("outcome", "reason", "job")}}


def _known(call: Call) -> "sa.Select[Any]":
    return sa.select(firings).where(firings.c.id == call.digest)


def _check(call: Call, row: sa.RowMapping | None, now: int) -> None:
    trigger = trigger_of(row) if row is not None and row["gone"] is None else None
    if trigger is None or trigger.webhook is None:
        raise Unsigned("no such webhook, or the call is not signed with its secret")
    secret = os.environ.get(trigger.webhook, "")
    if not secret:
        raise Failed(
            "the secret of this webhook is not set",
            where=f"{call.id}: webhook",
            fix="set the environment variable that it names, where the API runs",
        )
    expected = signature(secret, call.timestamp, call.body)
    if not hmac.compare_digest(expected.encode(), call.signature.encode()):
        raise Unsigned("no such webhook, or the call is not signed with its secret")
    sent = call.timestamp
    if not (sent.isascii() and sent.isdigit() and len(sent) < 12):
        raise Unsigned("the time of the call is not in seconds since 1970")
    if abs(int(sent) - now / 1000) > TOLERANCE_SECONDS:
        raise Unsigned(f"the call was signed more than {TOLERANCE_SECONDS} s ago, or ahead")
