"""Results that an earlier run left: only those of the same slide and analysis count as done."""

import logging
import shutil
from pathlib import Path

from wsi_pipeline.errors import ResultError
from wsi_pipeline.run.checkpoint import partial_folder
from wsi_pipeline.run.inputs import Entry
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.stitch.checksums import check_files
from wsi_pipeline.stitch.result import Result

log = logging.getLogger(__name__)

_CHOICE = "use another -o, or --overwrite to replace it"


def earlier_result(entry: Entry, final: Path, work: Work) -> Result | None:
    """The result at ``final`` if it is this analysis, whole; None if it is damaged.

    A damaged one is moved to where unfinished work lies, so that its name is free.

    Args:
        entry: The slide.
        final: Where the result lies.
        work: The analysis that is wanted.

    Raises:
        ResultError: it is sound but of another slide, model or configuration.
    """
    try:
        result = Result(final)
        check_files(final)
    except ResultError as error:
        log.warning("%s; it is computed again", error)
        damaged = partial_folder(final) / "damaged"
        damaged.parent.mkdir(exist_ok=True)
        shutil.rmtree(damaged, ignore_errors=True)
        final.rename(damaged)
        return None
    record = result.record
    if record.model.sha256 != work.package.sha256:
        other = record.model.name
        raise ResultError(final, f"was made with another model ({other}); {_CHOICE}")
    if record.fingerprint != work.fingerprint:
        raise ResultError(final, f"was made with other settings; {_CHOICE}")
    if record.slide.sha256 != slide_sha256(slide_files(entry.path)):
        raise ResultError(final, f"is of another slide of this name; {_CHOICE}")
    # A run may have been killed between publishing and tidying up.
    shutil.rmtree(partial_folder(final), ignore_errors=True)
    return result
