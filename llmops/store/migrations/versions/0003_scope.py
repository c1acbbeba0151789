"""Which stages a job is about, and which GPUs are its own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("begin", "until", "gpus"):
        op.add_column("jobs", sa.Column(name, sa.Text))
