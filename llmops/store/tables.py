"""The tables of the database, as SQLAlchemy Core metadata. Changes are made by migrations
(llmops/store/migrations), numbered and append-only; this module says what the newest looks like.

Imported only where the database is opened: importing SQLAlchemy takes 0.2 s.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

Big = sa.BigInteger().with_variant(sa.Integer, "sqlite")

inferences = sa.Table(
    "inferences",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("time", Big, nullable=False),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("user", sa.String(32)),
    sa.Column("session", sa.String(32)),
    sa.Column("endpoint", sa.String(16), nullable=False),
    sa.Column("stream", sa.Boolean, nullable=False),
    sa.Column("prompt_hash", sa.String(64), nullable=False),
    sa.Column("messages", sa.Text),
    sa.Column("parameters", sa.Text),
    sa.Column("choices", sa.Text),
    sa.Column("response", sa.Text),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("first_token_ms", sa.Float),
    sa.Column("total_ms", sa.Float),
    sa.Column("finish", sa.String(32)),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("group_id", sa.String(64)),
    sa.Column("position", sa.Integer),
    sa.Column("source", sa.Text),
    sa.Column("redacted", Big),
    sa.Index("inferences_by_time", "deployment", "time"),
    sa.Index("inferences_by_user", "user"),
    sa.Index("inferences_by_prompt", "prompt_hash"),
)
"""messages: JSON text of the chat, or of [{"role": "user", "content": PROMPT}] for a completion;
prompt_hash: sha256 of that text as `feedback.rows.canonical` writes it; response: the first
choice's text; finish: its finish_reason; redacted: when the texts were erased (prompt_hash is
empty then)."""

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("time", Big, nullable=False),
    sa.Column("received", Big, nullable=False),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("inference", sa.String(64), nullable=False),
    sa.Column("other", sa.String(64)),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("value", sa.Float),
    sa.Column("choice", sa.String(16)),
    sa.Column("text", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("user", sa.String(32)),
    sa.Column("source", sa.Text),
    sa.Column("redacted", Big),
    sa.Index("feedback_by_inference", "inference"),
    sa.Index("feedback_by_time", "deployment", "time"),
    sa.Index("feedback_by_user", "user"),
)

positions = sa.Table(
    "journal_positions",
    metadata,
    sa.Column("writer", sa.String(128), primary_key=True),
    sa.Column("segment", sa.String(64), primary_key=True),
    sa.Column("offset", Big, nullable=False),
)
"""How far each segment was read that is still there: bytes up to the end of the last whole line."""

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("user", sa.String(32), nullable=False),
    sa.Column("time", Big, nullable=False),
    sa.Column("inferences", sa.Integer, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("tombstones_by_user", "user"),
)
"""What was erased of whom and when; detail: JSON with the hashes of what stood there."""

triggers = sa.Table(
    "triggers",
    metadata,
    sa.Column("id", sa.String(160), primary_key=True),
    sa.Column("pipeline", sa.Text, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("declared", sa.Text, nullable=False),
    sa.Column("next_at", Big),
    sa.Column("fired_at", Big),
    sa.Column("paused", Big),
    sa.Column("paused_by", sa.Text),
    sa.Column("paused_why", sa.Text),
    sa.Column("gone", Big),
    sa.Column("seen", sa.Text),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", Big),
)
"""id: PIPELINE/NAME; file: relative to the project; declared: JSON of the trigger and the limits;
next_at: when it is due, or looked at again; gone: since when its declaration is not there; seen:
JSON of what the last look found; lease: who looks now, and until when nobody else does."""

firings = sa.Table(
    "firings",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("trigger", sa.String(160), nullable=False),
    sa.Column("due", Big, nullable=False),
    sa.Column("time", Big, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("job", sa.String(128)),
    sa.UniqueConstraint("trigger", "due", name="firings_once"),
    sa.Index("firings_by_time", "time"),
)
"""outcome: started, or skipped with its reason. A trigger fires once for each time it was due."""

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("created", Big, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("overrides", sa.Text, nullable=False),
    sa.Column("force", sa.Boolean, nullable=False),
    sa.Column("resume", sa.Boolean, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("trigger", sa.String(160)),
    sa.Column("correlation", sa.String(64), nullable=False),
    sa.Column("devices", sa.Integer, nullable=False),
    sa.Column("device_seconds", sa.Float, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("host", sa.Text),
    sa.Column("pid", sa.Integer),
    sa.Column("lease_until", Big),
    sa.Column("started", Big),
    sa.Column("ended", Big),
    sa.Column("look_at", Big),
    sa.Column("error", sa.Text),
    sa.Column("begin", sa.Text),
    sa.Column("until", sa.Text),
    sa.Column("gpus", sa.Text),
    sa.Index("jobs_by_state", "state", "created"),
    sa.Index("jobs_by_time", "created"),
)
"""A run as it was asked for; id: also the run's. state: approval (waits for a person), queued,
starting, running, waiting (for evidence; asked again at look_at), or as the run ended: done,
failed, refused, interrupted, died, and cancelled for one that never ran. overrides: a JSON list;
resume: the run exists and goes on; by: who asked (cli:USER, api:KEY, schedule:TRIGGER); tries: how
often a process was started for it; device_seconds: devices times seconds, of all its processes;
force, begin, until: as in runner/scope.py; gpus: those that are its own since it was started, as
CUDA_VISIBLE_DEVICES takes them, None where it has none."""

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("owner", sa.String(128), primary_key=True),
    sa.Column("key", sa.String(256), primary_key=True),
    sa.Column("time", Big, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("body", sa.Text),
    sa.Index("requests_by_time", "time"),
)
"""Answers to requests with an idempotency key; digest: of method, path and body; status: None
while it is being answered."""

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("time", Big, nullable=False),
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_at", Big),
    sa.Column("delivered", Big),
    sa.Column("error", sa.Text),
    sa.Index("deliveries_by_next", "next_at"),
)
"""Notifications on their way. id: sha256 of the event and where it goes, so each is sent once;
next_at: when it is tried again; None once it was delivered or given up."""

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("name", sa.String(160), primary_key=True),
    sa.Column("time", Big, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
)
"""Single facts of the scheduler's, as JSON: the kill switch (`halt`), how far notifications are."""
