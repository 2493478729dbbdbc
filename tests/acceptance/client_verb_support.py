"""``wsi client`` in the process of the test."""

import pytest
from service_support import TOKEN, Service

from wsi_pipeline import cli


class ClientVerb:
    """Calls verbs of ``wsi client``: exit code, standard output, standard error.

    The token is never among what they print.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: Service
    ) -> None:
        self._patch, self._capsys = patch, capsys
        patch.setenv("WSI_URL", service.url)
        patch.setenv("WSI_TOKEN", TOKEN)

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self._patch.setattr("sys.argv", ["wsi", "client", *map(str, arguments)])
        self._capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        text = self._capsys.readouterr()
        assert isinstance(code, int), code
        assert TOKEN not in text.out + text.err
        return code, text.out, text.err
