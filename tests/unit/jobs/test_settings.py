"""Settings of the service: where they come from, and what an empty one means."""

from pathlib import Path

import pytest

from wsi_pipeline.jobs.settings import ServiceSettings


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
