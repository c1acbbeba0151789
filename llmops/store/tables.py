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
