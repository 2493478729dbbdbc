"""The program called in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wsi_pipeline import cli


@pytest.fixture
def wsi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs ``wsi``: exit code, standard output, standard error."""
    monkeypatch.setenv("WSI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WSI_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["wsi", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        text = capsys.readouterr()
        assert isinstance(code, int), code
        return code, text.out, text.err

    return run
