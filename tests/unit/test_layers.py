"""Imports point downwards, and what is heavy is imported only where it is needed."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import wsi_pipeline

ROOT = Path(wsi_pipeline.__file__).parent
BASICS = {"errors", "geometry", "durable"}

#: What each part of the package may import, from the ground up; its own modules go without saying.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "geometry": set(),
    "classes": set(),
    "notice": set(),
    "page": set(),
    "durable": set(),
    "native": set(),
    "settings": set(),
    "analysis_settings": {"geometry"},
    "slide": BASICS | {"native"},
    "grid": BASICS | {"slide"},
    "stain": set(),
    "tissue": BASICS | {"slide", "grid", "stain"},
    "tiles": BASICS | {"slide", "grid", "tissue", "stain"},
    "quality": BASICS | {"slide", "grid", "tissue", "tiles", "page"},
    "model": {"errors", "durable", "classes", "notice", "analysis_settings", "stain"},
    "shift": {"errors", "tissue", "model"},
    "images": {"errors", "durable", "classes", "notice", "model", "metrics", "page", "stain"}
    | {"shift"},
    "cells": {"errors", "durable", "classes", "notice", "model", "images", "metrics", "page"}
    | {"stain"},
    "screen": BASICS | {"slide", "grid", "tissue", "tiles", "stain", "model"},
    "stitch": BASICS | {"classes", "notice", "slide", "grid", "tiles", "quality"},
    "slide_level": {"errors", "geometry", "classes", "model", "stitch", "metrics"},
    "run": BASICS
    | {"classes", "analysis_settings", "slide", "grid", "tissue", "tiles", "model", "stitch"}
    | {"quality", "stain", "shift", "slide_level", "screen"},
    "pipeline": {"errors", "classes", "analysis_settings", "tiles", "model", "stitch", "run"},
    "familiarise": {"errors", "durable", "analysis_settings", "model", "run", "shift", "images"}
    | {"tiles"},
    "distil": {"errors", "durable", "analysis_settings", "slide", "tiles", "model", "screen"}
    | {"run"},
    "batch": {"errors", "slide", "stitch", "run", "pipeline"},
    "features": {"errors", "classes", "stitch"},
    "export": BASICS | {"classes", "slide", "grid", "tiles", "stitch", "quality", "features"},
    "synth": BASICS,
    "metrics": set(),
    "annotation": BASICS | {"slide"},
    "cohort": BASICS | {"slide", "annotation"},
    "evaluation": BASICS
    | {"slide", "grid", "tiles", "tissue", "stitch", "export", "annotation", "cohort", "metrics"}
    | {"classes", "page", "quality", "slide_level"},
    "training": BASICS
    | {"slide", "grid", "tissue", "tiles", "model", "annotation", "cohort", "metrics"}
    | {"classes", "images", "page", "stain", "shift", "stitch", "slide_level", "features"},
    "demo": {"errors", "tissue", "model", "stitch", "synth", "shift"},
    "lymph_node": {"errors", "durable", "tissue", "model", "stitch", "metrics", "synth"}
    | {"training", "shift"},
    "provided": {"errors", "durable", "settings", "model", "demo", "lymph_node"},
    "importing": {"errors", "durable", "classes", "model", "synth"},
    "notebook": {
        "errors",
        "analysis_settings",
        "settings",
        "slide",
        "grid",
        "model",
        "stitch",
        "run",
        "pipeline",
        "provided",
        "stain",
    },
    "testing": BASICS
    | {"classes", "slide", "grid", "tiles", "model", "stitch", "annotation", "synth"}
    | {"stain", "screen"},
    # The service's foundations: what is stored, what is queued, and how to ask from outside.
    "storage": {"errors", "durable"},
    "service": {"errors", "durable", "analysis_settings", "model", "storage"},
    "client": {"errors", "durable", "analysis_settings", "stitch"},
    "cli": BASICS
    | {
        "native",
        "analysis_settings",
        "settings",
        "slide",
        "tiles",
        "model",
        "stitch",
        "run",
        "pipeline",
        "batch",
        "familiarise",
    }
    | {
        "export",
        "synth",
        "demo",
        "lymph_node",
        "page",
        "images",
        "cells",
        "provided",
        "importing",
        "storage",
        "service",
        "client",
    }
    | {"annotation", "cohort", "evaluation", "training", "stain", "quality"}
    | {"screen", "distil"},
    # The package's own door, whose exports are imported when they are used.
    "__init__": {"notebook", "stitch"},
}

#: Modules of the training that compute; the rest of it loads no torch.
_WITH_TORCH: tuple[str, ...] = (
    "augment",
    "checkpoint",
    "command",
    "device",
    "loop",
    "linear_probe",
    "run",
)
_WITH_TORCH += ("package", "session", "initial_weights", "features", "freezing", "head_fit")
_WITH_TORCH += ("head_fitting", "loss", "schedule")
_LYMPH_NODE = ("features", "fitting", "head_file", "network", "package", "patches", "training")

#: The only modules that may import a library.
ONLY_IN = {
    "openslide": {"slide/openslide_reader.py"},
    "openvino": {"model/openvino_library.py"},
    "onnxruntime": {
        "importing/onnx_source.py",
        "model/onnx_export.py",
        "model/onnx_runtime.py",
    },
    "nncf": {"model/conversion.py"},
    "captum": {"images/explanation/gradcam.py"},
    "torch": {
        "distil/network.py",
        "model/answering.py",
        "model/class_token.py",
        "model/heads.py",
        "model/memory.py",
        "model/network.py",
        "model/onnx_export.py",
        "model/small_networks.py",
        "model/package_writer.py",
        "model/torch_runtime.py",
        "model/conversion.py",
        "model/linear_probe.py",
        "demo/training.py",
        "importing/checkpoint.py",
        "importing/encoder.py",
        "importing/weights.py",
        "importing/torchvision_source.py",
        "importing/torchscript_child.py",
        *(f"lymph_node/{name}.py" for name in _LYMPH_NODE),
        "slide_level/attention/networks.py",
        *(f"training/slides/{name}.py" for name in ("cross_validation", "losses", "member")),
        "training/slides/session.py",
        # Features, and maps of what an answer rests on, come from the network's layers.
        "images/embedding.py",
        *(f"images/explanation/{name}.py" for name in ("explainer", "gradcam", "rollout")),
        "testing/encoders.py",
        "testing/kinds.py",
        "testing/maps.py",
        "testing/models.py",
        *(f"training/{name}.py" for name in _WITH_TORCH),
    },
    "torchvision": {"importing/torchvision_source.py", "training/initial_weights.py"},
    "distributed": {"run/cluster.py"},
    "dask": {"notebook.py"},
    "h5py": {"features/hdf5.py", "features/hdf5_bag.py", "features/origin.py"},
    "anndata": {"features/annotated.py"},
    "pandas": {"features/annotated.py"},
    "zarr": {"stitch/result.py", "stitch/verification.py"},
    "pydicom": {"slide/dicom.py"},
    "obstore": {"storage/objects.py"},
    "typer": {f"cli/{path.name}" for path in (ROOT / "cli").glob("*.py")},
}

#: What the two halves of the service may import of the library. They know nothing of each other:
#: what they have to tell is in the database and in storage.
SERVICE = {
    "api": BASICS
    | {"analysis_settings", "slide", "tiles", "model", "stitch", "export", "storage", "service"}
    | {"annotation", "classes", "notice", "images", "quality"},
    "workers": BASICS
    | {"analysis_settings", "slide", "tiles", "model", "stitch", "export", "storage", "service"}
    | {"run", "pipeline", "grid", "images", "stain", "native"},
}

#: What each part of the pages may import, likewise.
PAGES = ROOT.parent / "web" / "src"
PAGES_MAY_IMPORT: dict[str, set[str]] = {
    "api": set(),
    "colour": set(),
    "geometry": set(),
    "state": {"colour", "geometry"},
    "ui": {"api"},
    "uploads": {"api", "ui"},
    "worklist": {"api", "colour", "geometry", "ui", "uploads"},
    "viewer": {"api", "colour", "geometry", "state", "ui"},
    "local": {"api", "ui"},
    "images": {"api", "ui", "uploads"},
    "router": {"ui", "worklist", "viewer", "local", "images"},
    "main": {"api", "ui", "router"},
}

MODULES = sorted(ROOT.rglob("*.py"))
#: A module that another one of the pages names, in any of the forms of TypeScript.
_PAGE_IMPORT = re.compile(r"""\b(?:from|import)\s*\(?\s*["'](\.[^"']*)["']""")


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """Full names of what a module imports, wherever in it."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layers"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


def part_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def modules_of(*roots: Path) -> dict[str, set[str]]:
    """Each module of packages by its full name, and the modules of theirs that it imports."""
    paths: dict[str, Path] = {}
    for root in roots:
        for path in root.rglob("*.py"):
            name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
            paths[name.removesuffix(".__init__")] = path
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        # `from package import name` imports a module of that name, or what a module defines.
        uses = {used if used in paths else used.rpartition(".")[0] for used in imports(path)}
        graph[name] = (uses & paths.keys()) - {name}
    return graph


def pages_of(root: Path) -> dict[str, set[str]]:
    """Each module of the pages by its path without suffix, and the modules it imports."""
    graph: dict[str, set[str]] = {}
    for path in root.rglob("*.ts"):
        uses = set()
        for named in _PAGE_IMPORT.findall(path.read_text(encoding="utf-8")):
            used = (path.parent / named).resolve()
            assert used.is_file() or used.with_suffix(".ts").is_file(), f"{path}: {named}"
            if not used.is_file():  # else it is a style sheet
                uses.add(str(used.relative_to(root.resolve())))
        graph[str(path.relative_to(root).with_suffix(""))] = uses
    return graph


def part_of_page(name: str) -> str:
    return name.split("/", maxsplit=1)[0]


def circle(graph: Mapping[str, set[str]]) -> list[str] | None:
    """Modules each of which imports the next, the last one the first; None if there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    part = part_of(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("wsi_pipeline.")}
    assert used - {part} <= MAY_IMPORT[part], f"{part} imports {sorted(used - MAY_IMPORT[part])}"


def test_every_part_is_in_the_table() -> None:
    assert {part_of(path) for path in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("table", [MAY_IMPORT, PAGES_MAY_IMPORT], ids=["package", "pages"])
def test_the_table_itself_has_an_order(table: dict[str, set[str]]) -> None:
    assert circle(table) is None


def test_no_modules_import_each_other() -> None:
    """Counts every import, also those in functions and those that only type checkers see."""
    others = [ROOT.parent / name for name in ("api", "workers", "benchmarks")]
    assert circle(modules_of(ROOT, *others)) is None


def test_pages_import_downwards() -> None:
    graph = pages_of(PAGES)
    assert circle(graph) is None
    assert {part_of_page(name) for name in graph} == set(PAGES_MAY_IMPORT)
    for name, uses in graph.items():
        part = part_of_page(name)
        used = {part_of_page(other) for other in uses} - {part}
        assert used <= PAGES_MAY_IMPORT[part], f"{name} imports {sorted(uses)}"


def test_a_circle_is_found_wherever_its_imports_are(tmp_path: Path) -> None:
    package = tmp_path / "organ"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def f():\n    from organ import b\n")
    (package / "b.py").write_text("from organ.c import C\n")
    (package / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from organ.a import f\n"
    )
    found = circle(modules_of(package))
    assert found is not None
    assert set(found) == {"organ.a", "organ.b", "organ.c"}

    pages = tmp_path / "src"
    (pages / "part").mkdir(parents=True)
    (pages / "part" / "a.ts").write_text('import type { B } from "./b";\nimport "./a.css";\n')
    (pages / "part" / "b.ts").write_text('export const f = () => import("../c");\n')
    (pages / "c.ts").write_text("export {\n  a,\n} from './part/a';\n")
    (pages / "part" / "a.css").write_text("")
    found = circle(pages_of(pages))
    assert found is not None
    assert set(found) == {"part/a", "part/b", "c"}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_in_few_places(library: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in MODULES
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users == ONLY_IN[library] & users
    assert users, f"nothing imports {library} any more"


def test_the_library_knows_no_service() -> None:
    for path in MODULES:
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & {"api", "workers", "fastapi", "starlette"}, path
        if part_of(path) not in {"service", "cli"}:
            assert not roots & {"sqlalchemy", "alembic"}, path


@pytest.mark.parametrize("half", SERVICE)
def test_the_service_stands_on_the_library(half: str) -> None:
    other = (SERVICE.keys() - {half}).pop()
    for path in sorted((ROOT.parent / half).glob("**/*.py")):
        names = set(imports(path))
        used = {name.split(".")[1] for name in names if name.startswith("wsi_pipeline.")}
        assert used <= SERVICE[half], f"{path} imports {sorted(used - SERVICE[half])}"
        assert other not in {name.split(".")[0] for name in names}, path


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


HEAVY = {"torch", "torchvision", "openvino", "nncf", "dask", "distributed", "matplotlib", "zarr"}


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import wsi_pipeline", HEAVY | {"numpy", "openslide"}),
        ("import wsi_pipeline.cli", HEAVY | {"numpy", "openslide"}),
        ("import wsi_pipeline.slide.probe", HEAVY),
        ("import wsi_pipeline.cli.info", HEAVY),
        ("import wsi_pipeline.testing", HEAVY),
        ("import wsi_pipeline.cli.run", {"torch", "nncf", "distributed", "matplotlib"}),
        (
            "import wsi_pipeline.slide_level.attention.look",
            {"torch", "openvino", "dask", "matplotlib"},
        ),
        ("import wsi_pipeline.stitch.result", {"torch", "openvino", "dask", "matplotlib"}),
        (
            "import wsi_pipeline.cli.evaluate",
            {"torch", "openvino", "dask", "distributed", "matplotlib"},
        ),
        ("import wsi_pipeline.cli.train", {"torch", "openvino", "nncf", "dask", "matplotlib"}),
        ("import wsi_pipeline.cli.dataset", HEAVY),
        ("import wsi_pipeline.images.run", {"torch", "dask", "distributed", "umap", "captum"}),
        ("import wsi_pipeline.client", HEAVY | {"numpy", "openslide", "sqlalchemy"}),
        ("import wsi_pipeline.service.jobs.queue", HEAVY | {"numpy", "openslide"}),
        ("import api.server, api.app, api.jobs.results, api.jobs.exports", HEAVY),
        ("import wsi_pipeline.cli.serve", HEAVY | {"fastapi"}),
    ],
)
def test_importing_loads_nothing_heavy(statement: str, heavy: set[str]) -> None:
    assert not loaded_by(statement) & heavy
