"""Who uploaded a slide."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of slides that are there it is not known."""
    op.add_column("slides", sa.Column("created_by", sa.String(length=32), nullable=True))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("slides", "created_by")
