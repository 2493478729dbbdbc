"""The tables of single images, and of the questions that workers answer within seconds.

They follow the rules of :mod:`wsi_pipeline.service.tables`, and are made by its migrations.
"""

import sqlalchemy as sa

from wsi_pipeline.service.tables import metadata

_ID = sa.String(32)
_SHA256 = sa.String(64)

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False, index=True),
    #: As it was given, with folders; shown to the workspace, never logged.
    sa.Column("name", sa.String(500), nullable=False),
    sa.Column("sha256", _SHA256, nullable=False, index=True),
    #: Key of the bytes in storage: ``images/<sha256>/<id>``.
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    #: ready or deleted.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    #: Id of the key it came with.
    sa.Column("created_by", _ID),
)
#: The same bytes under the same name are the same image, until it is deleted.
sa.Index(
    "uq_images_present",
    images.c.workspace_id,
    images.c.name,
    images.c.sha256,
    unique=True,
    sqlite_where=images.c.state != "deleted",
    postgresql_where=images.c.state != "deleted",
)

#: Short work for a worker, answered within seconds; the same question is asked once.
questions = sa.Table(
    "questions",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    #: classify, explain or why.
    sa.Column("kind", sa.String(10), nullable=False),
    #: Id of the image; of ``why``: ``JOB/column/row/class``.
    sa.Column("subject", sa.String(300), nullable=False),
    #: What the worker has to know.
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("model_sha256", _SHA256, nullable=False),
    #: Somebody waits for it: it comes first.
    sa.Column("urgent", sa.Boolean, nullable=False),
    #: queued, running, answered, failed or cancelled.
    sa.Column("state", sa.String(10), nullable=False),
    #: Times that whoever had it ended without a word; from the first on it is claimed alone.
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
    #: Grows with each claim: who holds an older one may write nothing.
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("worker_id", _ID),
    sa.Column("lease_until", sa.Double),
    sa.Column("answer", sa.JSON),
    #: Key in storage of the picture that is the answer.
    sa.Column("picture", sa.Text),
    #: 1 - the largest probability, to sort by.
    sa.Column("doubt", sa.Double),
    #: Whether a person has to look again.
    sa.Column("review", sa.Boolean),
    #: The class it is called; several are separated by a comma and a space.
    sa.Column("called", sa.Text),
    #: A problem detail as JSON.
    sa.Column("problem", sa.JSON),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("finished_at", sa.Double),
    sa.UniqueConstraint("workspace_id", "kind", "subject", "model_sha256"),
    sa.Index("ix_questions_claim", "state", "urgent", "created_at"),
)

#: One model asked about many images.
image_jobs = sa.Table(
    "image_jobs",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False, index=True),
    #: Of the folder, as it was given.
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("model_sha256", _SHA256, nullable=False),
    sa.Column("idempotency_key", sa.String(255)),
    #: Of the request that came with the key: the same key with another request is an error.
    sa.Column("request_sha256", _SHA256),
    sa.Column("created_at", sa.Double, nullable=False),
    #: Id of the key that asked.
    sa.Column("created_by", _ID),
    sa.Column("cancelled_at", sa.Double),
    sa.UniqueConstraint("workspace_id", "idempotency_key"),
)

image_job_items = sa.Table(
    "image_job_items",
    metadata,
    sa.Column("job_id", sa.ForeignKey("image_jobs.id", ondelete="CASCADE"), primary_key=True),
    #: Place in the request, from 0.
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("image_id", sa.ForeignKey("images.id"), nullable=False, index=True),
    #: NULL once the image was deleted.
    sa.Column("question_id", sa.ForeignKey("questions.id", ondelete="SET NULL"), index=True),
)

#: What people say an image shows; each user has one label for an image.
image_labels = sa.Table(
    "image_labels",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    #: Whose it is: a user is an API key.
    sa.Column("key_id", sa.ForeignKey("api_keys.id"), primary_key=True),
    #: Shown to the workspace, never logged.
    sa.Column("label", sa.String(200), nullable=False),
    sa.Column("changed_at", sa.Double, nullable=False),
)
