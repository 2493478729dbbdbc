"""The tables. Times are seconds since 1970 by the database's clock, identifiers random hex.

Alembic migrations in ``migrations/versions`` make them; a test holds the two together.
"""

import secrets

import sqlalchemy as sa

#: Constraint names that are the same on both databases, so that migrations can name them.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def new_id() -> str:
    """A random identifier, 32 hex digits."""
    return secrets.token_hex(16)


_ID = sa.String(32)
_SHA256 = sa.String(64)

#: The last time that was written down, in one row; see :mod:`wsi_pipeline.service.database`. Used
#: on SQLite only.
clock = sa.Table(
    "clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    #: Seconds since the host was started, at that time.
    sa.Column("uptime", sa.Double, nullable=False),
)

#: Who may see what: every object belongs to one, and of another's nobody learns that it exists.
workspaces = sa.Table(
    "workspaces",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("created_at", sa.Double, nullable=False),
    #: When a job of it was last claimed; the longest waiting workspace comes first.
    sa.Column("served_at", sa.Double, nullable=False, server_default="0"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    #: Of the key; the key itself is shown once and kept nowhere.
    sa.Column("sha256", _SHA256, nullable=False, unique=True),
    #: view, submit or admin; each includes the former.
    sa.Column("scope", sa.String(10), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
)

#: Browsers that are signed in; each with one key, with which it ends.
sessions = sa.Table(
    "sessions",
    metadata,
    #: For lists and commands; the cookie holds another secret.
    sa.Column("id", _ID, primary_key=True),
    sa.Column("key_id", sa.ForeignKey("api_keys.id"), nullable=False, index=True),
    #: Of what the cookie holds, which is kept nowhere.
    sa.Column("sha256", _SHA256, nullable=False, unique=True),
    sa.Column("created_at", sa.Double, nullable=False),
    #: Written at most once a minute.
    sa.Column("used_at", sa.Double, nullable=False),
    sa.Column("idle_until", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    #: When somebody signed it out.
    sa.Column("ended_at", sa.Double),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    #: Total bytes; NULL while the client has not said (never for tus without deferred length).
    sa.Column("length", sa.BigInteger, nullable=False),
    #: Bytes that are on disk for certain: written, fsynced, then counted here.
    sa.Column("offset", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("metadata", sa.Text, nullable=False, server_default=""),
    #: open, complete, expired or terminated.
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    #: The slide it became; set together with the last offset.
    sa.Column("slide_id", sa.ForeignKey("slides.id")),
)

slides = sa.Table(
    "slides",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False, index=True),
    #: What the user calls it; shown to the workspace, never logged.
    sa.Column("name", sa.Text, nullable=False),
    #: checking, ready, rejected or deleted.
    sa.Column("state", sa.String(10), nullable=False),
    #: Why it was rejected: a problem detail as JSON.
    sa.Column("problem", sa.JSON),
    #: Where the bytes are until they are checked: a file in the spool folder, or a linked file.
    sa.Column("source", sa.Text),
    #: Key of the slide in storage, or ``file:`` and the path of a linked file.
    sa.Column("location", sa.Text),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("sha256", _SHA256, index=True),
    #: SlideInfo as JSON, without path and patient data.
    sa.Column("info", sa.JSON),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("checked_at", sa.Double),
    #: Id of the key it came with; NULL where no key did.
    sa.Column("created_by", _ID),
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("slide_sha256", _SHA256, nullable=False),
    sa.Column("model_sha256", _SHA256, nullable=False),
    #: Of the configuration.
    sa.Column("fingerprint", _SHA256, nullable=False),
    #: Key of the mask store in storage. It never changes: another result has another key.
    sa.Column("location", sa.Text, nullable=False),
    #: Score, areas, regions, counts and provenance, as the API gives them.
    sa.Column("summary", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.UniqueConstraint("slide_sha256", "model_sha256", "fingerprint"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False, index=True),
    sa.Column("slide_id", sa.ForeignKey("slides.id"), nullable=False, index=True),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("model_sha256", _SHA256, nullable=False),
    #: AnalysisSettings as JSON, only what differs from the defaults.
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("fingerprint", _SHA256, nullable=False),
    #: Higher is sooner; waiting raises it.
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    #: queued, running, succeeded, failed or cancelled.
    sa.Column("state", sa.String(10), nullable=False, index=True),
    #: Within running: checking, classifying, writing or publishing.
    sa.Column("stage", sa.String(20)),
    sa.Column("tiles_done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("tiles_total", sa.BigInteger),
    sa.Column("tiles_per_second", sa.Double),
    #: Times the analysis crashed or failed by itself; at the third it is quarantined.
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    #: Times a worker vanished with it, without getting further.
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
    #: Progress when it was claimed; getting further forgives earlier losses.
    sa.Column("claimed_at_tiles", sa.BigInteger, nullable=False, server_default="0"),
    #: Grows with each claim: who holds an older one may write nothing.
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("worker_id", _ID),
    sa.Column("lease_until", sa.Double),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
    #: A problem detail as JSON.
    sa.Column("problem", sa.JSON),
    sa.Column("result_id", sa.ForeignKey("results.id")),
    sa.Column("idempotency_key", sa.String(255)),
    #: Of the request that came with the key: the same key with another request is an error.
    sa.Column("request_sha256", _SHA256),
    #: Place within a batch created with one key.
    sa.Column("batch_index", sa.Integer, nullable=False, server_default="0"),
    sa.Column("webhook", sa.Text),
    #: When the webhook was last tried and how often; NULL once delivered or none is wanted.
    sa.Column("webhook_due", sa.Double),
    sa.Column("webhook_tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", sa.Double, nullable=False),
    #: Not before then; a failed attempt waits a little.
    sa.Column("due_at", sa.Double, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("finished_at", sa.Double),
    sa.UniqueConstraint("workspace_id", "idempotency_key", "batch_index"),
    sa.Index("ix_jobs_claim", "state", "due_at"),
)

#: What people say of a result's tumour regions. Jobs of identical work share a result, those of
#: other workspaces too: what was said belongs to the workspace it was said in.
notes = sa.Table(
    "notes",
    metadata,
    sa.Column("result_id", sa.ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), primary_key=True),
    #: Number of the region, 1 is the most suspicious.
    sa.Column("region", sa.Integer, primary_key=True, autoincrement=False),
    #: Whose note it is: a user is an API key.
    sa.Column("key_id", sa.ForeignKey("api_keys.id"), primary_key=True),
    #: agree, disagree or NULL.
    sa.Column("verdict", sa.String(10)),
    #: Shown to the workspace, never logged.
    sa.Column("comment", sa.Text, nullable=False, server_default=""),
    sa.Column("changed_at", sa.Double, nullable=False),
)

#: What people drew on a slide, in the order in which each drew it.
drawings = sa.Table(
    "drawings",
    metadata,
    #: Chosen by whoever drew it, so that sending it again changes nothing.
    sa.Column("id", _ID, primary_key=True),
    sa.Column("slide_id", sa.ForeignKey("slides.id", ondelete="CASCADE"), nullable=False),
    #: Whose it is: a user is an API key.
    sa.Column("key_id", sa.ForeignKey("api_keys.id"), nullable=False),
    #: Place among those of this user on this slide; an erasure takes from what came before it.
    sa.Column("number", sa.Integer, nullable=False),
    #: add or erase.
    sa.Column("effect", sa.String(8), nullable=False),
    #: polygon, rectangle, brush or model: with what it was drawn.
    sa.Column("tool", sa.String(10), nullable=False),
    #: Name of the class; empty of an erasure: from every class.
    sa.Column("class_name", sa.String(200), nullable=False),
    #: Shown to the workspace, never logged.
    sa.Column("comment", sa.Text, nullable=False, server_default=""),
    #: An outline, then its holes, each a list of x, y in level-0 px.
    sa.Column("rings", sa.JSON, nullable=False),
    sa.Column("changed_at", sa.Double, nullable=False),
    sa.UniqueConstraint("slide_id", "key_id", "number"),
)

#: What happened to a job, for those who listen; ``id`` is what they resume from.
job_events = sa.Table(
    "job_events",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("at", sa.Double, nullable=False),
    #: state or progress.
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("host", sa.String(200), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("job_id", _ID),
)

#: Files seen in watched folders.
watched_files = sa.Table(
    "watched_files",
    metadata,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("modified_at", sa.Double, nullable=False),
    #: Unchanged since then, by the database's clock.
    sa.Column("still_since", sa.Double, nullable=False),
    sa.Column("slide_id", sa.ForeignKey("slides.id")),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="SET NULL")),
    #: Where its result was delivered.
    sa.Column("delivered", sa.Text),
)

#: Every change, each line bound to the one before it by its hash.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("workspace_id", _ID),
    #: Id of the key, or the part of the system that acted.
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("object_id", sa.String(64)),
    sa.Column("details", sa.Text, nullable=False, server_default="{}"),
    sa.Column("previous", _SHA256, nullable=False),
    sa.Column("sha256", _SHA256, nullable=False, unique=True),
)
