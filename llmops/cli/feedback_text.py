"""What `llmops feedback` prints: rows for its tables, and lines."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmops.feedback.erase import Forgotten
    from llmops.feedback.ingest import Ingested
    from llmops.feedback.keeper import Kept

STATS = (
    *("deployment", "variant", "version", "source", "answers", "errors", "users"),
    *("thumbs", "rating", "votes won/lost/tied", "edits", "other"),
)
EVENTS = ("time", "kind", "what", "answer", "variant", "version", "user", "source")
ANSWERS = ("time", "id", "variant", "version", "user", "asked", "answered", "source")
_SHOWN = 60
_FOREVER = 1e12
"""Seconds: more than calendars and databases take."""


def moment(since: str | None) -> int | None:
    """`7d` (ago) or ISO 8601, as milliseconds since 1970. Raises BadInput."""
    import re
    import time

    from llmops.errors import BadInput
    from llmops.spec.grammar import seconds

    if since is None:
        return None
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?[smhdw]", since):
            found = time.time() - seconds(since)
        else:
            found = datetime.fromisoformat(since).astimezone().timestamp()
        if abs(found) < _FOREVER:
            return int(found * 1000)
    except (ValueError, OverflowError):
        pass
    fix = "write 7d, 24h, 30m, or 2026-01-31T12:00"
    raise BadInput(f"`{short(since)}` is no time", where="--since", fix=fix)


def stats_row(entry: dict[str, Any]) -> tuple[str, ...]:
    said = dict(entry["feedback"])
    thumbs, rating = said.pop("thumbs", None), said.pop("rating", None)
    votes, edits = said.pop("choice", None), said.pop("edit", None)
    tied = votes["tie"] + votes["both_bad"] if votes else 0
    return (
        entry["deployment"],
        entry["variant"] or "-",
        entry["version"] or "not in the log",
        entry["source"] or "-",
        f"{entry['answers']:,}",
        f"{entry['errors']:,}",
        f"{entry['users']:,}",
        f"{thumbs['mean']:.0%} of {thumbs['count']:,}" if thumbs else "-",
        f"{rating['mean']:.2f} of {rating['count']:,}" if rating else "-",
        f"{votes['won']:,}/{votes['lost']:,}/{tied:,}" if votes else "-",
        f"{edits['count']:,}" if edits else "-",
        ", ".join(_other(name, figures) for name, figures in sorted(said.items())) or "-",
    )


def _other(name: str, figures: dict[str, Any]) -> str:
    mean = "" if figures["mean"] is None else f" (mean {figures['mean']:.3g})"
    return f"{name} {figures['count']:,}{mean}"


def event_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        when(row["time"]),
        row["kind"],
        said(row),
        row["inference"],
        row["variant"] or "-",
        row["version"] or "not in the log",
        (row["user"] or "-")[:8],
        row["source"] or "-",
    )


def said(row: dict[str, Any]) -> str:
    """An event in a few words."""
    if row["kind"] == "thumbs":
        return "up" if row["value"] else "down"
    if row["kind"] == "choice":
        return f"{row['choice']} of this and {row['other']}"
    if row["kind"] == "regenerate":
        return f"instead of {row['other']}"
    if row["redacted"] is not None and row["kind"] in ("edit", "comment"):
        return "erased"
    value = "" if row["value"] is None else f"{row['value']:g}"
    return short(" ".join(part for part in (row["name"], value, row["text"]) if part))


def answer_row(row: dict[str, Any]) -> tuple[str, ...]:
    erased = "erased" if row["redacted"] is not None else None
    return (
        when(row["time"]),
        row["id"],
        row["variant"] or "-",
        row["version"],
        (row["user"] or "-")[:8],
        erased or short(_asked(row["messages"])),
        erased or short(row["response"] or row["error"] or ""),
        row["source"] or "-",
    )


def _asked(messages: Any) -> str:
    """The last turn of a chat, as far as it is text."""
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content") if isinstance(last, dict) else None
    return content if isinstance(content, str) else str(content or "")


def short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN else flat[: _SHOWN - 1] + "…"


def when(milliseconds: int) -> str:
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError):  # what was imported may name any
        return f"{milliseconds} ms"
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def shown_lines(found: dict[str, Any]) -> list[str]:
    """An answer with its events and what came of it."""
    lines = [f"answer     {found['id']}"]
    row = found["inference"]
    lines += _answer_lines(row) if row is not None else ["           is not in the log (yet)"]
    if found["group"]:
        lines.append(f"beside     {', '.join(found['group'])}")
    for event in found["events"]:
        who = (event["user"] or "whoever asked")[:13]
        lines.append(f"feedback   {when(event['time'])}  {event['kind']}: {said(event)}  by {who}")
    if not found["events"]:
        lines.append("feedback   none")
    for use in found["snapshots"]:
        versions = ", ".join(use["versions"]) or "no version yet"
        lines.append(f"went into  {use['snapshot']} ({use['rows']} rows), and {versions}")
    return lines


def _answer_lines(row: dict[str, Any]) -> list[str]:
    exposed = f"as {row['unit']}, routes {row['generation']}" if row["unit"] else "asked by name"
    tokens = f"{row['prompt_tokens'] or '?'} + {row['completion_tokens'] or '?'} tokens"
    lines = [
        f"time       {when(row['time'])} UTC, {row['total_ms'] or 0:.0f} ms, {tokens}",
        f"by         {row['version']} ({row['variant'] or 'no variant'} of {row['deployment']})",
        f"exposure   {exposed}",
        f"source     {row['source'] or 'real'}",
    ]
    if row["redacted"] is not None:
        return [*lines, f"texts      erased {when(row['redacted'])} UTC"]
    for turn in row["messages"] or []:
        role, content = (
            (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else ("", turn)
        )
        lines.append(f"{short(str(role or '')):<10} {content}")
    lines.append(f"{'answer':<10} {row['response'] if row['response'] is not None else '-'}")
    ended = f"error: {row['error']}" if row["error"] else row["finish"] or "-"
    return [*lines, f"ended      {ended} (HTTP {row['status']})"]


def ingested_line(done: "Kept") -> str:
    new = done.ingested
    text = f"{new.inferences:,} answers, {new.feedback:,} events; {new.segments} segments finished"
    if new.repeated:
        text += f"; {new.repeated:,} records were there already"
    for one in done.expired:
        text += f"\n{one.deployment}: {one.inferences:,} answers and {one.events:,} events older"
        text += f" than {one.retention} lost their texts"
    return text


def damaged_lines(done: "Ingested") -> list[str]:
    return [f"warning: {damage}" for damage in done.damaged]


def forgotten_lines(done: "Forgotten") -> list[str]:
    """What was erased, and where a person has to look."""
    if not done.known:
        return [f"the log holds nothing of this user ({done.user}); a tombstone keeps it so"]
    lines = [
        f"erased     the texts of {done.inferences} answers and {done.events} events"
        f" ({done.known} rows are known of this user)",
        f"tombstone  {done.tombstone} for user {done.user}",
    ]
    for one in done.snapshots:
        lines.append(f"snapshot   {one.id}: {one.rows} rows erased")
        lines += [f"version    {name} trained on them: train again" for name in one.versions]
    lines += [f"version    {name} shows such a text in its golden prompts" for name in done.golden]
    if done.golden or any(one.versions for one in done.snapshots):
        lines.append("           `llmops models delete` removes a version that nothing needs")
    lines += [f"journal    {file}: {why}" for file, why in done.segments.items()]
    lines += [f"file       {file} names answers of this user: edit it" for file in done.files]
    lines += [
        f"remote     {name} is at {place}: remove it there" for name, place in done.remote.items()
    ]
    known = "no other copies" if done.remote else "no copies"
    lines.append(f"remote     {known} elsewhere are known; exports and backups are your own")
    if not done.purged:
        lines.append("database   a reader keeps the old texts in its log: do it again later")
    return lines
