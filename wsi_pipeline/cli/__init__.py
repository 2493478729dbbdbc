"""The command line, ``wsi``: thin verbs over the library.

Exit codes: 0 success, 1 an unexpected failure, 2 wrong usage or an unusable table or model
package, 3 some slide or result is bad, 130 interrupted.
"""

import dataclasses
import importlib
import logging
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wsi_pipeline import native
from wsi_pipeline.cli.optional_value import OptionalValueCommand
from wsi_pipeline.cli.quick_imports import quick_imports
from wsi_pipeline.errors import CohortError, PackageError, UsageError, WsiError

EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_BAD, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

#: Verb -> module, function and what it does. Imported when used, so that `wsi --help` is instant.
_VERBS = {
    "demo": ("demo", "demo", "Run every step on a synthetic slide."),
    "info": ("info", "info", "Show a slide's format, levels and resolution."),
    "qc": ("qc", "qc", "Find pen, folds, blur and bubbles on slides; table and pictures."),
    "run": ("run", "run", "Analyse slides: one, or a directory of thousands."),
    "classify": ("classify", "classify", "Classify single images: cells, patches."),
    "cells": ("cells", "cells", "Find, classify and count the cells of smear fields."),
    "features": ("features", "features", "Compute an encoder's features of slides' tiles."),
    "stain": ("stain", "stain", "Show how a slide is stained, and stained like another."),
    "export": ("export", "export", "Export a result as pictures, regions, tables and masks."),
    "verify": ("verify", "verify", "Check the checksums of results; name what is damaged."),
    "evaluate": ("evaluate", "evaluate", "Measure how good results are, with intervals."),
    "synth": ("synth", "synth", "Draw synthetic slides with planted tumour and exact truth."),
    "train": ("train", "train", "Train a model package from annotated slides."),
    "models": ("models", "app", "List, show, verify and make model packages."),
    "dataset": ("dataset", "app", "Pair slides with annotations, draw masks, divide data sets."),
    "serve": ("serve", "serve", "Start the service: uploads, queue, workers, masks over HTTP."),
    "worker": ("worker", "worker", "Add a worker to a service, on this or another host."),
    "config": ("config", "config", "Show the service's settings and the origin of each."),
    "keys": ("keys", "app", "Make, list and revoke API keys."),
    "audit": ("audit", "app", "Check the service's audit log."),
    "migrate": ("migrate", "migrate", "Update the tables of the service's database."),
    "gc": ("gc", "gc", "Remove data that the service no longer needs."),
    "client": ("client", "app", "Use a service: upload, submit, wait, fetch."),
}


#: Verbs that analyse many slides.
_LONG = frozenset({"run", "features"})


class _LazyGroup(TyperGroup):
    """Loads a verb's module when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - click's signature
        if cmd_name not in _VERBS:
            return None
        # For the list of verbs; `resolve_command` loads the one that is called.
        stub = typer.Typer(add_completion=False)
        stub.command(cmd_name, help=_VERBS[cmd_name][2])(lambda: None)
        return typer.main.get_command(stub)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, self._load(name) if name in _VERBS else command, rest

    def _load(self, cmd_name: str) -> Any:
        module, attribute, _ = _VERBS[cmd_name]
        with quick_imports():
            target: Any = getattr(importlib.import_module(f"wsi_pipeline.cli.{module}"), attribute)
        if isinstance(target, typer.Typer):
            group = typer.main.get_command(target)
            group.name = cmd_name
            return group
        single = typer.Typer(rich_markup_mode="rich", add_completion=False)
        single.command(cmd_name, cls=OptionalValueCommand)(target)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=_LazyGroup, rich_markup_mode="rich", no_args_is_help=True, pretty_exceptions_enable=False
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if wanted:
        from importlib import metadata  # noqa: PLC0415 - only for this flag

        sys.stdout.write(metadata.version("wsi-pipeline") + "\n")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Find tumour and other tissue on whole-slide images; write masks with checksums.

    Start with [bold]wsi demo[/], then [bold]wsi run --help[/]. Research software, not a medical
    device.

    Exit codes: 0 success, 1 an unexpected failure, 2 wrong usage or an unusable table or model
    package, 3 some slide or result is bad, 130 interrupted. WSI_MODELS_DIR and WSI_CACHE_DIR say
    where models and their converted forms are kept.
    """


def program() -> None:
    """Be the program ``wsi``: :func:`main` in a process that is its own."""
    native.leave_cores_to_others()
    if not (sys.argv[1:2] and sys.argv[1] in _LONG):
        main()
        return
    # Imported here: they are of no use to the others.
    from wsi_pipeline.cli.crash_guard import guarded  # noqa: PLC0415
    from wsi_pipeline.cli.leaving import leaving  # noqa: PLC0415

    native.return_large_blocks()
    native.leave_cores_to_the_model()
    guard = guarded()
    with leaving():
        with quick_imports():
            from wsi_pipeline.slide.sandbox import PROBING, Sandbox  # noqa: PLC0415
        with Sandbox(PROBING) as sandbox:
            # It has imports of its own to do, and other cores have no work yet.
            if "--help" not in sys.argv:
                sandbox.start()
            main(dataclasses.replace(guard, sandbox=sandbox))


def main(guard: object = None) -> None:
    """Run the command line.

    Args:
        guard: What a command that analyses many slides is told by the program, see
            :func:`~wsi_pipeline.cli.crash_guard.guard_of`.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        app(obj=guard)
    except (UsageError, PackageError, CohortError) as error:
        _say(error)
        sys.exit(EXIT_USAGE)
    except WsiError as error:
        _say(error)
        sys.exit(EXIT_BAD)
    except ModuleNotFoundError as error:
        # Imported here: nobody who has everything needs it.
        from wsi_pipeline.cli.extras import extra_with  # noqa: PLC0415

        extra = extra_with(error.name)
        if extra is None:
            raise
        sys.stderr.write(
            f"wsi: this needs {error.name}, which is not installed: "
            f"pip install 'wsi-pipeline[{extra}]'\n"
        )
        sys.exit(EXIT_USAGE)
    except OSError as error:
        # A folder that cannot be written, a disk that is full: the system's words say it.
        sys.stderr.write(f"wsi: {error}\n")
        sys.exit(EXIT_FAILURE)
    except KeyboardInterrupt:
        sys.stderr.write("wsi: interrupted; the same command continues\n")
        sys.exit(EXIT_INTERRUPTED)


def _say(error: WsiError) -> None:
    sys.stderr.write(f"wsi: {error}\n")
