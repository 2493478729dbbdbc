"""What the verbs of ``wsi client`` share: options, a client, and how errors end the program."""

import json as json_format
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from wsi_pipeline.cli import EXIT_BAD, EXIT_FAILURE, EXIT_USAGE
from wsi_pipeline.cli.console import console
from wsi_pipeline.client import (
    Client,
    ClientError,
    JobFacts,
    RefusedError,
    SharedMask,
    SlideFacts,
    TransferError,
)
from wsi_pipeline.errors import UsageError

_WHICH = "Service"
Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="WSI_URL",
        help="Address of the service; the one `wsi serve` prints, with the token, will do.",
        show_default="http://127.0.0.1:8000",
        rich_help_panel=_WHICH,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="WSI_TOKEN",
        help="API key. Other users of this machine can see it among the processes; better use "
        "the variable or a file.",
        show_default=False,
        rich_help_panel=_WHICH,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="WSI_TOKEN_FILE",
        help="File with the API key.",
        show_default=False,
        rich_help_panel=_WHICH,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print what the service told as JSON on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print answers and errors only.")]
LOCAL = "http://127.0.0.1:8000"


@contextmanager
def open_client(
    url: str, token: str | None, token_file: Path | None, *, quiet: bool
) -> Iterator[Client]:
    """A client whose errors end the program with the command's exit codes."""

    def tell(reason: str, seconds: float) -> None:
        if not quiet:
            console.print(
                f"{reason}; trying again in {max(seconds, 1):.0f} s", style="dim", soft_wrap=True
            )

    if token is None and token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(f"the file with the key cannot be read: {error.strerror}") from error
    try:
        with Client(url, token, tell=tell) as client:
            yield client
    except RefusedError as error:
        fault(str(error))
        raise typer.Exit(EXIT_FAILURE if error.status >= 500 else EXIT_USAGE) from error
    except TransferError as error:
        fault(str(error))
        raise typer.Exit(EXIT_BAD) from error
    except (ClientError, TimeoutError) as error:
        fault(str(error))
        raise typer.Exit(EXIT_FAILURE) from error


def print_json(facts: Sequence[JobFacts | SharedMask | SlideFacts], *, json: bool) -> None:
    """Print what the service told, if that is wanted."""
    if json:
        sys.stdout.write(json_format.dumps([fact.json for fact in facts]) + "\n")


def fault(message: str) -> None:
    """Say what went wrong."""
    sys.stderr.write(f"wsi: {message}\n")
