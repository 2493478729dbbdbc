"""``wsi gc``: removes what the service no longer needs; safe while it runs."""

import json as json_format
import sys
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console

from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.service import (
    DatabaseUrl,
    DataDir,
    Json,
    StorageUrl,
    load_settings,
    open_database,
    open_sessions,
)
from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.garbage import Garbage, Waste
from wsi_pipeline.service.upload_files import UploadFiles
from wsi_pipeline.service.uploads import UploadStore
from wsi_pipeline.storage import open_storage


def gc(
    data_dir: DataDir = None,
    database: DatabaseUrl = None,
    storage: StorageUrl = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove expired uploads, ended sessions, results no job has, and bytes nobody knows.

    A result is removed after the last job that has it was deleted: until then it is reused for
    identical work. Files that may still be in transfer stay. Safe while the service runs.

    [bold]Examples[/]

        wsi gc --dry-run

        wsi gc --json
    """
    settings = load_settings(data_dir=data_dir, database=database, storage=storage)
    if settings.database is not None and (settings.data_dir / "service.db").exists():
        raise UsageError(
            f"{settings.data_dir} belongs to the service whose database lies in it, not to "
            "--database; name the other one's --data-dir"
        )
    found: list[Waste] = []
    with open_database(settings) as opened, console.status("looking"):
        garbage = Garbage(opened, open_storage(settings.storage_url), dry=dry_run)
        garbage.check_belongs()
        uploads = UploadStore(
            opened,
            max_bytes=settings.max_upload_bytes,
            quota_bytes=settings.quota_bytes,
            expiry_seconds=settings.upload_expiry_seconds,
        )
        found += garbage.uploads(uploads, UploadFiles(settings.spool_dir))
        found += garbage.results()
        found += garbage.result_bytes()
        found += garbage.slide_bytes()
        found += garbage.image_bytes()
        found += garbage.questions()
        found += garbage.answer_pictures()
        found += garbage.workers()
        found += garbage.sessions(open_sessions(opened, settings))
    if json:
        facts = [
            {"kind": waste.kind, "name": waste.name, "bytes": waste.size_bytes} for waste in found
        ]
        total = sum(waste.size_bytes for waste in found)
        report = {"dry_run": dry_run, "bytes": total, "removed": facts}
        sys.stdout.write(json_format.dumps(report) + "\n")
        return
    verb = "would remove" if dry_run else "removed"
    if not found:
        Console().print("nothing to remove")
    for kind, count in Counter(waste.kind for waste in found).items():
        size = sum(waste.size_bytes for waste in found if waste.kind == kind)
        Console().print(f"{verb} {count:,} × {kind}, {size / 1e6:,.1f} MB", highlight=False)
