"""The token that signs in at ``wsi serve``: the one of the settings, or one kept in a file."""

import os
import secrets
from pathlib import Path

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.keys import PREFIX, ApiKeys
from wsi_pipeline.service.settings import ServiceSettings

#: Name of the file in the data folder that holds the token in force, for this user only.
KEPT_TOKEN = "token"  # noqa: S105 - a file's name
_LEAST = 16


def token_in_force(keys: ApiKeys, settings: ServiceSettings) -> str:
    """Bring the token into the database and into its file; returns it.

    Raises:
        UsageError: the token of the settings is too short or was revoked.
    """
    kept = settings.data_dir / KEPT_TOKEN
    if settings.token is not None:
        token = settings.token.get_secret_value()
        if len(token) < _LEAST:
            raise UsageError(f"the token has fewer than {_LEAST} characters")
        if not token.isprintable():
            raise UsageError("the token holds a character that cannot be printed")
        keys.ensure_console(token)
        _keep(kept, token)
        return token
    token = _kept(kept)
    try:
        keys.ensure_console(token)
    except UsageError:  # revoked: who revokes the token wants another
        kept.unlink()
        token = _kept(kept)
        keys.ensure_console(token)
    return token


def _kept(path: Path) -> str:
    """The token of earlier starts, or a new one, readable by this user only."""
    if path.exists():
        path.chmod(0o600)
        text = path.read_text(encoding="utf-8").strip()
        if len(text) >= _LEAST:
            return text
    token = PREFIX + secrets.token_urlsafe(32)
    _keep(path, token)
    return token


def _keep(path: Path, token: str) -> None:
    """Write the token where only this user reads it, from its first byte on."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    private = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "w", encoding="utf-8") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
