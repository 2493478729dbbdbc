"""Sphinx settings, and the directive that prints a command's own help."""

import os
import subprocess
import sys
from importlib import metadata
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

project = "WSI Pipeline"
author = "WSI Pipeline maintainers"
copyright = "WSI Pipeline maintainers"
release = metadata.version("wsi-pipeline")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"WSI Pipeline {release}"
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"exclude-members": "model_config"}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


class CommandHelp(Directive):
    """``{wsi-help} run``: what ``wsi run --help`` prints, so that the page cannot go stale."""

    required_arguments = 0
    optional_arguments = 5

    def run(self) -> list[nodes.Node]:
        """Ask the program itself."""
        command = [sys.executable, "-c", "from wsi_pipeline.cli import main; main()"]
        words = " ".join(self.arguments).split()
        plain = {"COLUMNS": "84", "TERMINAL_WIDTH": "84", "TERM": "dumb", "NO_COLOR": "1"}
        done = subprocess.run(  # noqa: S603 - our own interpreter and program
            [*command, *words, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **plain},
        )
        text = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
        text = text.replace("Usage: -c", "Usage: wsi")
        return [nodes.literal_block(text, text, language="none")]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("wsi-help", CommandHelp)
    return {"parallel_read_safe": True}
