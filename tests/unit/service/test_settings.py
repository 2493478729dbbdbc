"""Settings of the service: where they come from, and what an empty one means."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from wsi_pipeline.service.settings import ServiceSettings


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither variables nor a ``wsi.toml`` of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(f"WSI_{name.upper()}", raising=False)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a composition without its ``.env`` passes them: never an empty token or secret."""
    default = ServiceSettings()
    for name in ServiceSettings.model_fields:
        monkeypatch.setenv(f"WSI_{name.upper()}", "")
    assert ServiceSettings() == default
    assert default.token is None
    assert default.webhook_secret is None
    assert default.webhook_hosts == ()


@pytest.mark.parametrize(
    ("address", "is_good"),
    [
        ("postgresql+psycopg://wsi:@database:5432/wsi", False),
        ("postgresql://:@database/wsi", False),
        ("postgresql+psycopg://wsi:secret@database:5432/wsi", True),
        ("postgresql+psycopg://wsi@database/wsi", True),
        ("postgresql+psycopg:///wsi", True),
        ("sqlite:////srv/wsi/service.db", True),
    ],
)
def test_an_empty_password_is_refused(address: str, is_good: bool) -> None:
    """As what a variable that is empty leaves; without any, PostgreSQL has other ways to ask."""
    if is_good:
        assert ServiceSettings(database=address).database_url == address
    else:
        with pytest.raises(ValidationError, match="password in the address is empty"):
            ServiceSettings(database=address)


@pytest.mark.parametrize("name", ["scan_seconds", "session_idle_seconds", "lease_seconds"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_numbers_are_finite(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"WSI_{name.upper()}", value)
    with pytest.raises(ValidationError, match="finite"):
        ServiceSettings()


@pytest.mark.parametrize("value", ["nan", "inf", "-1.0"])
def test_a_watched_folder_waits_for_a_time(value: str) -> None:
    """TOML has a NaN, and what is compared with it never rests: no file would be analysed."""
    Path("wsi.toml").write_text(
        f'[[watch]]\npath = "/slides"\nmodel = "demo"\nstill_seconds = {value}\n'
    )
    with pytest.raises(ValidationError, match="still_seconds"):
        ServiceSettings()


def test_proxies_are_addresses_or_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSI_TRUSTED_PROXIES", '["10.0.0.0/8", "::1"]')
    assert ServiceSettings().trusted_proxies == ("10.0.0.0/8", "::1")
    assert ServiceSettings(trusted_proxies=()).trusted_proxies == ()
    for wrong in ("*", "proxy", "10.0.0.1/8", ""):
        with pytest.raises(ValidationError):
            ServiceSettings(trusted_proxies=(wrong,))


def test_flags_come_before_variables_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wsi.toml").write_text("port = 1\nworkers = 2\nopen_slides = 3\n")
    monkeypatch.setenv("WSI_PORT", "10")
    monkeypatch.setenv("WSI_WORKERS", "20")
    settings = ServiceSettings(port=100)
    assert (settings.port, settings.workers, settings.open_slides) == (100, 20, 3)
    monkeypatch.setenv("WSI_WORKERS", "")
    assert ServiceSettings().workers == 2
