"""``wsi demo``: the whole of it on a synthetic slide, start to finish."""

import json as json_format
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.batch import run_batch
from wsi_pipeline.cli import EXIT_BAD
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.progress import RunDisplay
from wsi_pipeline.demo import DEMO
from wsi_pipeline.demo.agreement import agreement
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.heatmap import write_heatmap
from wsi_pipeline.export.table import write_csv
from wsi_pipeline.lymph_node import LYMPH_NODE
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.inputs import Entry
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.settings import Settings
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import SynthSpec, parse_size, truth_paths, write_slide

if TYPE_CHECKING:
    from wsi_pipeline.lymph_node.demonstration import Judged

_SEED = 7


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for all files.")] = Path(
        "build/demo"
    ),
    size: Annotated[
        str, typer.Option(help="Size of the slide in px.", metavar="WIDTHxHEIGHT")
    ] = "20000x18000",
    patches: Annotated[
        Path | None,
        typer.Option(
            help="Folder of PatchCamelyon patches (patches.csv, normal/, tumour/), of which those "
            "that the lymph-node model was not fitted on are laid on a slide and analysed.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Draw a slide with planted tumour, build a demo model, analyse, compare with the truth.

    Nothing is downloaded. Slide and model are synthetic: the figures show that the pipeline works
    and say nothing about real tissue. A second run keeps slide and model and repeats the analysis.
    With --patches the lymph-node model, which knows real tissue, analyses real patches too.

    [bold]Example[/]

        wsi demo -o build/demo
    """
    slide = _slide(out, size)
    with console.status("loading the demo model") as status:
        package = find_or_build(DEMO, Settings(), status.update)
    began = time.perf_counter()
    result = _analysed(slide, package, out)
    seconds = time.perf_counter() - began
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
    real = None if patches is None else _real(patches, out)
    _report(result, slide, written, seconds, real, json=json)


def _analysed(slide: Path, package: ModelPackage, out: Path) -> Result:
    entry = Entry(slide, Path(slide.stem))
    request = RuntimeRequest("auto", "auto", Settings().cache_dir, head=package.run_head)
    with RunDisplay(1) as display, connect(None, 2) as threads:
        work = Work(package, AnalysisSettings(), request, threads)
        (outcome,) = run_batch([entry], out, work, display, overwrite=True)
    if outcome.status == "failed":
        raise typer.Exit(EXIT_BAD)
    return Result(entry.result(out))


def _real(folder: Path, out: Path) -> "Judged":
    """Analyse real patches that the lymph-node model was not fitted on."""
    # Imported here: this needs torch, an analysis does not.
    from wsi_pipeline.lymph_node.demonstration import held_out, judge, lay  # noqa: PLC0415
    from wsi_pipeline.lymph_node.patches import read_pcam  # noqa: PLC0415

    with console.status("laying real patches on a slide") as status:
        patches = held_out(read_pcam(folder))
        slide = lay(patches, out / "slides" / "real_patches.tiff")
        package = find_or_build(LYMPH_NODE, Settings(), status.update)
    return judge(_analysed(slide, package, out), patches)


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
    result: Result,
    slide: Path,
    written: dict[str, Path],
    seconds: float,
    real: "Judged | None",
    *,
    json: bool,
) -> None:
    record, truth = result.record, agreement(result, truth_paths(slide)[0])
    if json:
        figures = {
            "slide_score": record.slide_score,
            "tumour_area_mm2": record.tumour_area_mm2,
            "agreement": asdict(truth),
            "real_patches": None if real is None else asdict(real),
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
    console.print(f"  {_told(real)}", highlight=False, soft_wrap=True)
    names = {
        "mask": "mask (OME-Zarr)",
        "heatmap": "heatmap",
        "geojson": "regions (QuPath)",
        "csv": "tile table",
    }
    for key, path in written.items():
        console.print(f"  {names[key]:<17} {path}", highlight=False, soft_wrap=True)


def _told(real: "Judged | None") -> str:
    if real is None:
        return "real tissue   none is here: give a folder of PatchCamelyon patches with --patches"
    return (
        f"real tissue   {LYMPH_NODE}: patch AUC {real.auc:.3f} on {real.patches} patches it was "
        f"not fitted on, laid on a slide; {real.left_out} left out for too little tissue"
    )
