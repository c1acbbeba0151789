"""Triggers, what they fired, jobs, idempotent requests, notifications and the scheduler's marks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _big() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _triggers()
    _jobs()
    _requests()
    _deliveries()
    op.create_table(
        "marks",
        sa.Column("name", sa.String(160), primary_key=True),
        sa.Column("time", _big(), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
    )


def _triggers() -> None:
    op.create_table(
        "triggers",
        sa.Column("id", sa.String(160), primary_key=True),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("declared", sa.Text, nullable=False),
        sa.Column("next_at", _big()),
        sa.Column("fired_at", _big()),
        sa.Column("paused", _big()),
        sa.Column("paused_by", sa.Text),
        sa.Column("paused_why", sa.Text),
        sa.Column("gone", _big()),
        sa.Column("seen", sa.Text),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", _big()),
    )
    op.create_table(
        "firings",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("trigger", sa.String(160), nullable=False),
        sa.Column("due", _big(), nullable=False),
        sa.Column("time", _big(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("job", sa.String(128)),
        sa.UniqueConstraint("trigger", "due", name="firings_once"),
    )
    op.create_index("firings_by_time", "firings", ["time"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("created", _big(), nullable=False),
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
        sa.Column("lease_until", _big()),
        sa.Column("started", _big()),
        sa.Column("ended", _big()),
        sa.Column("look_at", _big()),
        sa.Column("error", sa.Text),
    )
    op.create_index("jobs_by_state", "jobs", ["state", "created"])
    op.create_index("jobs_by_time", "jobs", ["created"])


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("owner", sa.String(128), primary_key=True),
        sa.Column("key", sa.String(256), primary_key=True),
        sa.Column("time", _big(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.Text),
    )
    op.create_index("requests_by_time", "requests", ["time"])


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("time", _big(), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at", _big()),
        sa.Column("delivered", _big()),
        sa.Column("error", sa.Text),
    )
    op.create_index("deliveries_by_next", "deliveries", ["next_at"])
