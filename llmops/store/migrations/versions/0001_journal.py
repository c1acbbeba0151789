"""Inferences, feedback, how far the journal was read, and what was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _inferences()
    _feedback()
    op.create_table(
        "journal_positions",
        sa.Column("writer", sa.String(128), primary_key=True),
        sa.Column("segment", sa.String(64), primary_key=True),
        sa.Column("offset", _big(), nullable=False),
    )
    op.create_table(
        "tombstones",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("time", _big(), nullable=False),
        sa.Column("inferences", sa.Integer, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("tombstones_by_user", "tombstones", ["user"])


def _inferences() -> None:
    op.create_table(
        "inferences",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("time", _big(), nullable=False),
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
        sa.Column("redacted", _big()),
    )
    op.create_index("inferences_by_time", "inferences", ["deployment", "time"])
    op.create_index("inferences_by_user", "inferences", ["user"])
    op.create_index("inferences_by_prompt", "inferences", ["prompt_hash"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("time", _big(), nullable=False),
        sa.Column("received", _big(), nullable=False),
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
        sa.Column("redacted", _big()),
    )
    op.create_index("feedback_by_inference", "feedback", ["inference"])
    op.create_index("feedback_by_time", "feedback", ["deployment", "time"])
    op.create_index("feedback_by_user", "feedback", ["user"])


def _big() -> sa.types.TypeEngine[int]:
    """SQLite's own integers have 64 bits, and only INTEGER is one."""
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")
