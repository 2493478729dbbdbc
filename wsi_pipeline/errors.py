"""Every error the pipeline raises on purpose, under one root.

A message names the file or value at fault, the cause and what to do about it, in one line: it is
what a user finds in ``summary.csv``. Classes carry their facts as fields so that a service can
turn them into problem details without parsing text.
"""

from pathlib import Path
from typing import Any, ClassVar


class WsiError(Exception):
    """The root: catch this to catch everything the pipeline raises on purpose."""

    #: Names of the fields that the constructor takes, in order; none where it takes the message.
    _made_of: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        """The message on one line, so that it fits a table cell and a log record."""
        return " ".join(super().__str__().split())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by fields where there are any: these errors cross process borders."""
        if self._made_of:
            return type(self), tuple(getattr(self, name) for name in self._made_of)
        plain: tuple[Any, ...] = super().__reduce__()  # type: ignore[assignment]  # typed str | tuple
        return plain


class UsageError(WsiError):
    """The request cannot be met as asked: an option is wrong or two contradict each other."""


class SlideError(WsiError):
    """Something is wrong with one slide.

    Attributes:
        path: The slide's file or folder.
        cause: What is wrong, and the remedy where there is one.
    """

    _made_of = ("path", "cause")

    def __init__(self, path: Path | str, cause: str) -> None:
        super().__init__(f"{path}: {cause}")
        self.path = Path(path)
        self.cause = cause


class UnsupportedSlideError(SlideError):
    """The file is not a slide this program can read, though it may be a sound file."""


class DamagedSlideError(SlideError):
    """The file is a slide but part of it is missing or cannot be decoded."""


class SlideMetadataError(SlideError):
    """The slide's resolution is missing, implausible or does not allow what was asked."""


class SlideContentError(SlideError):
    """The slide's pixels are not what a brightfield model can judge (fluorescence, say)."""


class PackageError(WsiError):
    """A model package is incomplete, altered or unusable on this machine.

    Attributes:
        package: The package's folder or name.
        cause: What is wrong, and the remedy where there is one.
    """

    _made_of = ("package", "cause")

    def __init__(self, package: Path | str, cause: str) -> None:
        super().__init__(f"model package {package}: {cause}")
        self.package = str(package)
        self.cause = cause


class RuntimeRejectedError(PackageError):
    """A runtime did not reproduce the package's reference probabilities within its tolerance."""


class UnsteadyRuntimeError(RuntimeRejectedError):
    """A loaded model gave different answers for the same patches."""


class ImageError(WsiError):
    """A single image cannot be read or used.

    Attributes:
        path: Its file.
        cause: What is wrong, and the remedy where there is one.
    """

    _made_of = ("path", "cause")

    def __init__(self, path: Path | str, cause: str) -> None:
        super().__init__(f"{path}: {cause}")
        self.path = Path(path)
        self.cause = cause


class AnnotationError(SlideError):
    """An annotation or a mask cannot be read, or does not lie on its slide."""


class CohortError(WsiError):
    """A table of slides or images contradicts itself, or what it names is not there.

    Attributes:
        table: The file or folder; None where the cohort is of no file.
        cause: What is wrong, and the remedy where there is one.
    """

    _made_of = ("table", "cause")

    def __init__(self, table: Path | None, cause: str) -> None:
        super().__init__(cause if table is None else f"{table}: {cause}")
        self.table = table
        self.cause = cause


class TrainingError(WsiError):
    """A training cannot begin or go on; what was trained so far is kept.

    Attributes:
        subject: The file, slide or folder at fault.
        cause: What is wrong, and the remedy where there is one.
    """

    _made_of = ("subject", "cause")

    def __init__(self, subject: Path | str, cause: str) -> None:
        super().__init__(f"{subject}: {cause}")
        self.subject = str(subject)
        self.cause = cause


class ResultError(WsiError):
    """A result store is missing, incomplete, damaged or belongs to another analysis.

    Attributes:
        path: The result store.
        cause: What is wrong, and the remedy where there is one.
    """

    _made_of = ("path", "cause")

    def __init__(self, path: Path | str, cause: str) -> None:
        super().__init__(f"{path}: {cause}")
        self.path = Path(path)
        self.cause = cause


class ResultExistsError(ResultError):
    """There is a result already, and nobody said to replace it."""


class ResultBusyError(ResultError):
    """Another process is writing this result right now."""


class StoppedError(WsiError):
    """The analysis was asked to stop; what was finished is kept and will be resumed."""
