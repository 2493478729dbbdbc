"""Logs of the service: one line a record, with ids of requests and jobs, and no names.

What a log may hold is decided here, not where it is written: messages of other libraries and the
texts of exceptions can quote a file's name, and with it a patient's. So both are left out, but
for where they come from; the system's own words ("No space left on device") stay.
"""

import contextlib
import datetime as dt
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Literal

import sqlalchemy as sa

#: Loggers whose messages are written by people who know this rule.
_OURS = ("api", "workers", "wsi_pipeline", "uvicorn", "alembic")
_ids: ContextVar[dict[str, str]] = ContextVar("ids", default={})  # noqa: B039 - never changed


@contextlib.contextmanager
def bound(**ids: str) -> Iterator[None]:
    """Put ids on every record of this task or thread, until the end of the block."""
    token = _ids.set({**_ids.get(), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


def set_up(kind: Literal["json", "text"], level: int = logging.INFO) -> None:
    """Send all records of this process to standard error.

    Args:
        kind: ``json``, or ``text`` for people.
        level: Least level that is written.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if kind == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # What these say of every start and request is of no use to anybody.
    for name in ("alembic", "uvicorn", "httpx", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """What may be told of a record; its ``facts`` attribute, if any, are fields of their own."""
    facts: dict[str, Any] = {
        "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat("T", "milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _message(record),
        **_ids.get(),
        **getattr(record, "facts", {}),
    }
    if record.exc_info and record.exc_info[1] is not None:
        facts["error"] = describe(record.exc_info[1])
    return facts


def describe(error: BaseException) -> dict[str, Any]:
    """An exception without its text: kind, the system's own words, and the lines of code."""
    frames = traceback.extract_tb(error.__traceback__)
    told: dict[str, Any] = {
        "type": type(error).__name__,
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, OSError) and error.strerror:
        told["system"] = error.strerror
    if isinstance(error, sa.exc.DBAPIError) and error.orig is not None:
        # The first line names tables and constraints; those below it quote values.
        told["system"] = str(error.orig).partition("\n")[0]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        told["cause"] = describe(cause)
    if isinstance(error, BaseExceptionGroup):
        told["of"] = [describe(one) for one in error.exceptions]
    return told


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        return json.dumps(facts_of(record), default=str)


class TextLines(logging.Formatter):
    """Time, level, message, then the rest as ``key=value``; exceptions below."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        facts = facts_of(record)
        error = facts.pop("error", None)
        clock, level, _, message = (
            str(facts.pop(key)) for key in ("time", "level", "logger", "message")
        )
        line = " ".join([clock, level, message, *(f"{k}={v}" for k, v in facts.items())])
        return line if error is None else f"{line}\n  {json.dumps(error)}"


def _message(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] in _OURS:
        return record.getMessage()
    return f"withheld: a message of {record.name} from {record.pathname}:{record.lineno}"
