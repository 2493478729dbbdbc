"""What the verbs of ``wsi client`` share: options, a client, and how errors end the program."""

import functools
import inspect
import json as json_format
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from wsi_pipeline.cli import EXIT_BAD, EXIT_FAILURE, EXIT_USAGE
from wsi_pipeline.cli.console import console
from wsi_pipeline.client import (
    Client,
    ClientError,
    JobRecord,
    ModelRecord,
    RefusedError,
    SharedMask,
    SlideRecord,
    TransferError,
)
from wsi_pipeline.errors import UsageError

_WHICH = "Service"
Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="WSI_URL",
        help="Address of the service; the one that `wsi serve` prints can be used with its token.",
        show_default="http://127.0.0.1:8000",
        rich_help_panel=_WHICH,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="WSI_TOKEN",
        help="API key. Other users of this machine can see it in the list of processes; prefer "
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
    bool, typer.Option("--json", help="Print the service's answer as JSON on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print answers and errors only.")]
LOCAL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Remote:
    """Which service a command asks and how it tells the answer: the options of every command.

    Attributes:
        url: Address of the service.
        token: The key.
        token_file: The file that holds it.
        json: Whether standard output is JSON.
        quiet: Whether progress is hidden.
    """

    url: Url = LOCAL
    token: Token = None
    token_file: TokenFile = None
    json: Json = False
    quiet: Quiet = False

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client whose errors end the program with the command's exit codes."""
        try:
            with Client(self.url, self._key(), tell=self._tell) as client:
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

    def print_json(
        self, facts: Sequence[JobRecord | ModelRecord | SharedMask | SlideRecord]
    ) -> None:
        """Print what the service told, if that is wanted."""
        if self.json:
            sys.stdout.write(json_format.dumps([fact.json for fact in facts]) + "\n")

    def _key(self) -> str | None:
        if self.token is not None or self.token_file is None:
            return self.token
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(f"the file with the key cannot be read: {error.strerror}") from error

    def _tell(self, reason: str, seconds: float) -> None:
        if not self.quiet:
            console.print(
                f"{reason}; trying again in {max(seconds, 1):.0f} s", style="dim", soft_wrap=True
            )


def with_remote(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :class:`Remote` in place of its parameter ``remote``."""
    types = get_type_hints(Remote, include_extras=True)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=types[field.name],
        )
        for field in fields(Remote)
    ]
    signature = inspect.signature(command)
    own = [one for name, one in signature.parameters.items() if name != "remote"]

    @functools.wraps(command)
    def called(**values: Any) -> None:
        remote = Remote(**{option.name: values.pop(option.name) for option in options})
        command(**values, remote=remote)

    # What typer reads; a parameter it knows nothing of would be an error.
    called.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]  # functions have it
    return called


def fault(message: str) -> None:
    """Say what went wrong."""
    sys.stderr.write(f"wsi: {message}\n")
