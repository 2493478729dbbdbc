"""What Alembic runs: the migrations, on the connection it was given."""

from alembic import context

from wsi_pipeline.service import image_tables  # noqa: F401 - its tables are part of the metadata
from wsi_pipeline.service.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite cannot alter columns in place: tables are copied instead.
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
