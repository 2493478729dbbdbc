"""Drawings of a service as files that an index takes."""

import shutil
from collections import Counter
from pathlib import Path

from wsi_pipeline import durable
from wsi_pipeline.cli.remote import Remote
from wsi_pipeline.cohort.references import plain_name
from wsi_pipeline.cohort.search import search
from wsi_pipeline.errors import UsageError

#: Beside a cohort table, after its name without suffix.
_FOLDER = ".drawings"


def fetch_drawings(remote: Remote, slides: Path, table: Path, *, overwrite: bool) -> Path:
    """Write ``NAME.geojson`` for the slides of a folder that people drew on in a service.

    What all users drew on a slide is joined; see ``docs/service.md``. Slides are the same where
    their names are, without suffix and capitals.

    Args:
        remote: Which service.
        slides: The folder that will be indexed.
        table: The cohort table: the files go into a folder beside it, which appears whole.
        overwrite: Whether that folder may be replaced.

    Returns:
        The folder.

    Raises:
        UsageError: the folder is there, nobody drew on a slide of ``slides``, or two slides of the
            service have the name of one.
        CohortError: ``slides`` is no folder.
    """
    folder = table.with_suffix(_FOLDER)
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder} already exists; pass --overwrite to replace it")
    wanted = {one.key: one.name for one in search(slides).files if one.kind == "slide"}
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed here
    draft.mkdir()
    try:
        with remote.client() as client:
            drawn = [
                slide
                for slide in client.drawn_slides()
                if plain_name(slide.name).casefold() in wanted
            ]
            names = [wanted[plain_name(slide.name).casefold()] for slide in drawn]
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise UsageError(
                    f"several slides of the service are called {twice[0]} and have drawings: "
                    "delete the copies there"
                )
            if not drawn:
                raise UsageError(f"nobody drew on a slide of {slides} in the service")
            for name, slide in zip(names, drawn, strict=True):
                (draft / f"{name}.geojson").write_bytes(client.drawings(slide.slide_id))
        durable.sync_tree(draft)
        durable.publish_folder(draft, folder, replace=overwrite)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
