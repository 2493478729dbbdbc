"""``wsi demo``: the whole of it on a synthetic slide, start to finish."""

import json as json_format
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.batch import run_batch
from wsi_pipeline.cli import EXIT_BAD
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.progress import RunDisplay
from wsi_pipeline.demo.agreement import agreement
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.heatmap import write_heatmap
from wsi_pipeline.export.table import write_csv
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import Work
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.inputs import Entry
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.settings import Settings
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import SynthSpec, parse_size, truth_paths, write_slide

_SEED = 7


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for all files.")] = Path(
        "build/demo"
    ),
    size: Annotated[
        str, typer.Option(help="Size of the slide in px.", metavar="WIDTHxHEIGHT")
    ] = "20000x18000",
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Draw a slide with planted tumour, build a demo model, analyse, compare with the truth.

    Nothing is downloaded. Slide and model are synthetic: the figures show that the pipeline works
    and say nothing about real tissue. A second run keeps slide and model and repeats the analysis.

    [bold]Example[/]

        wsi demo -o build/demo
    """
    slide = _slide(out, size)
    with console.status("loading the demo model") as status:
        package = find_or_build(
            "demo",
            Settings(),
            lambda what: status.update(f"building the demo model (once, about a minute): {what}"),
        )
    began = time.perf_counter()
    request = RuntimeRequest("auto", "auto", Settings().cache_dir)
    entry = Entry(slide, Path(slide.stem))
    with RunDisplay(1) as display, connect(None, 2) as dask:
        work = Work(package, AnalysisSettings(), request, dask)
        (outcome,) = run_batch([entry], out, work, display, overwrite=True)
    if outcome.status == "failed":
        raise typer.Exit(EXIT_BAD)
    seconds = time.perf_counter() - began
    result = Result(entry.result(out))
    with console.status("drawing the heatmap"):
        written = {
            "mask": result.path,
            "heatmap": out / f"{slide.stem}.heatmap.png",
            "geojson": out / f"{slide.stem}.geojson",
            "csv": out / f"{slide.stem}.tiles.csv",
        }
        write_heatmap(result, written["heatmap"], slide=slide, overwrite=True)
        write_geojson(result, written["geojson"], overwrite=True)
        write_csv(result, written["csv"], overwrite=True)
    _report(result, slide, written, seconds, json=json)


def _slide(out: Path, size: str) -> Path:
    spec = SynthSpec(parse_size(size), seed=_SEED)
    path = out / "slides" / f"demo_{size}{spec.suffix}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"drawing a slide of {spec.size} px", total=spec.size.area)
        write_slide(
            spec, path, lambda done, total: progress.update(task, completed=done, total=total)
        )
    return path


def _report(
    result: Result, slide: Path, written: dict[str, Path], seconds: float, *, json: bool
) -> None:
    record, truth = result.record, agreement(result, truth_paths(slide)[0])
    if json:
        figures = {
            "slide_score": record.slide_score,
            "tumour_area_mm2": record.tumour_area_mm2,
            "agreement": asdict(truth),
            "tiles": record.tiles,
            "seconds": round(seconds, 2),
            "files": {key: str(path) for key, path in written.items()},
        }
        sys.stdout.write(json_format.dumps(figures) + "\n")
        return
    console.print(
        f"\n[bold]{result.name}[/]: {record.tiles:,} tiles in {seconds:.1f} s "
        f"({record.runtime.precision} on {record.runtime.runtime})\n"
        f"  slide score   {record.slide_score:.3f}\n"
        f"  tumour area   {record.tumour_area_mm2:.2f} mm², planted {truth.planted_mm2:.2f} mm²\n"
        f"  agreement     Dice {truth.dice:.3f}, sensitivity {truth.sensitivity:.3f}, "
        f"precision {truth.precision:.3f}\n"
        f"  [yellow]slide and model are synthetic: the figures show that the pipeline works; "
        f"they say nothing about real tissue[/]",
        highlight=False,
    )
    names = {
        "mask": "mask (OME-Zarr)",
        "heatmap": "heatmap",
        "geojson": "regions (QuPath)",
        "csv": "tile table",
    }
    for key, path in written.items():
        console.print(f"  {names[key]:<17} {path}", highlight=False, soft_wrap=True)
