"""The terminal."""

from rich.console import Console

#: Everything but results goes to standard error, so that --json stays clean.
console = Console(stderr=True)
