"""Each extra holds what its folders import, and a part that is not installed is named."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsi_pipeline.testing import write_pyramid

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
#: Modules that are called otherwise than what they are installed as.
MODULES = {
    "openslide-python": "openslide",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "umap-learn": "umap",
}
#: Installed for others: their binaries, or what they find by themselves.
FOR_OTHERS = {"openslide-bin", "httptools", "uvloop", "psycopg", "onnxscript"}
#: Comes with anndata, whose tables are its.
WITH_ANNDATA = {"pandas"}
#: Come with FastAPI, which is made of them.
WITH_FASTAPI = {"starlette", "anyio"}

#: The extra beyond the base that a folder may import from; no other folder may any.
NEEDS = {
    "slide_level": "training",
    "model": "inference",
    "run": "inference",
    "notebook": "inference",
    "demo": "inference",
    "lymph_node": "inference",
    "features": "features",
    "images": "images",
    "cells": "images",
    "training": "training",
    "importing": "training",
    "distil": "inference",
    "service": "service",
    "storage": "service",
    "cli": "service",
    "api": "service",
    "workers": "service",
}
#: A module asks for it where a package needs it, and says what to install.
ASKED_FOR = {("model/onnx_features.py", "onnx")}
#: For tests only, which have everything.
NOT_INSTALLED = {"testing"}


def names_in(requirements: list[str]) -> set[str]:
    """Of the libraries a list of requirements names; other extras of ours are followed."""
    found: set[str] = set()
    for requirement in requirements:
        matched = re.match(r"([\w-]+)(?:\[([\w, -]+)\])?", requirement)
        assert matched is not None
        if matched[1] == PROJECT["name"]:
            for extra in matched[2].split(","):
                found |= names_in(EXTRAS[extra.strip()])
        else:
            found.add(matched[1])
    return found


def modules_in(requirements: list[str]) -> set[str]:
    return {MODULES.get(name, name.replace("-", "_")) for name in names_in(requirements)}


BASE = modules_in(PROJECT["dependencies"])


def imports() -> Iterator[tuple[str, Path, str]]:
    """Folder, file and first name of everything imported that is not ours or Python's."""
    for top in ("wsi_pipeline", "api", "workers"):
        for path in sorted((ROOT / top).rglob("*.py")):
            inner = path.relative_to(ROOT / top).parts[0].removesuffix(".py")
            folder = inner if top == "wsi_pipeline" else top
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                for name in {one.split(".")[0] for one in names}:
                    if name not in sys.stdlib_module_names | {"wsi_pipeline", "api", "workers"}:
                        yield folder, path, name


def test_a_folder_imports_what_its_extra_installs() -> None:
    for folder, path, name in imports():
        asked_for = any(path.match(place) and name == one for place, one in ASKED_FOR)
        if folder in NOT_INSTALLED or asked_for:
            continue
        allowed = set(BASE)
        if folder in NEEDS:
            allowed |= modules_in(EXTRAS[NEEDS[folder]])
        if "fastapi" in allowed:
            allowed |= WITH_FASTAPI
        if folder == "features":
            allowed |= WITH_ANNDATA
        assert name in allowed, f"{path} imports {name}, which {folder} may not"


def test_nothing_is_installed_that_nobody_imports() -> None:
    used = {name for _, _, name in imports()}
    listed = names_in([*PROJECT["dependencies"], *EXTRAS["all"]])
    unused = {one for one in listed if MODULES.get(one, one.replace("-", "_")) not in used}
    assert unused == FOR_OTHERS


def test_no_library_is_listed_twice() -> None:
    lists = [PROJECT["dependencies"], *EXTRAS.values()]
    names = [
        re.match(r"[\w-]+", line)[0]  # type: ignore[index]  # each begins with a name
        for one in lists
        for line in one
        if not line.startswith(PROJECT["name"])
    ]
    assert len(names) == len(set(names))
    images = {"cut-out", "images"}
    assert set(EXTRAS) == images | {
        "openvino",
        "inference",
        "service",
        "training",
        "features",
        "all",
    }


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the metadata an installation of this source has."""
    folder = tmp_path_factory.mktemp("metadata")
    code = (
        "import hatchling.build, sys\nhatchling.build.prepare_metadata_for_build_wheel(sys.argv[1])"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def wsi(
    installed: tuple[str, ...], metadata: Path, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """``wsi`` as if of the extras only some were installed."""
    there = modules_in([f"{PROJECT['name']}[{extra}]" for extra in installed])
    missing = modules_in(EXTRAS["all"]) - there - BASE
    # Python's own way to say that a module is not there.
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({sorted(missing)!r}))\n"
        "from wsi_pipeline.cli import main\nmain()"
    )
    path = os.pathsep.join((str(metadata), str(ROOT)))
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "100"},
    )


@pytest.mark.slow
def test_the_base_reads_slides_and_talks_to_a_service(metadata: Path, tmp_path: Path) -> None:
    import numpy as np

    write_pyramid(tmp_path / "a.tiff", np.zeros((64, 64, 3), np.uint8))
    for arguments in (
        ("--help",),
        ("client", "--help"),
        ("info", str(tmp_path / "a.tiff")),
        ("export", "--help"),
        ("verify", "--help"),
        ("models", "list"),
    ):
        done = wsi((), metadata, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)


@pytest.mark.parametrize(
    ("installed", "arguments", "library", "extra"),
    [
        ((), ("run", "a.svs", "-o", "out", "--model", "demo"), "openvino", "inference"),
        ((), ("serve",), "sqlalchemy", "service"),
        (("inference",), ("keys", "list"), "sqlalchemy", "service"),
        (("service",), ("demo",), "openvino", "inference"),
        (("service",), ("worker",), "openvino", "inference"),
        (("service",), ("serve",), "openvino", "inference"),
        (
            ("openvino", "service"),
            ("models", "pack", "m.yaml", "-o", "p", "--weights", "w.pt", "--reference", "r"),
            "torch",
            "inference",
        ),
    ],
)
def test_a_missing_part_is_named_with_the_way_to_get_it(
    installed: tuple[str, ...],
    arguments: tuple[str, ...],
    library: str,
    extra: str,
    metadata: Path,
) -> None:
    done = wsi(installed, metadata, *arguments)
    assert done.returncode == 2, done.stderr
    expected = (
        f"wsi: this needs {library}, which is not installed: pip install 'wsi-pipeline[{extra}]'\n"
    )
    assert done.stderr == expected


def test_what_belongs_to_no_extra_stays_an_error(metadata: Path) -> None:
    code = "import sys\nsys.modules['openslide'] = None\nfrom wsi_pipeline.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "info", "a.svs"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(metadata), str(ROOT)))},
    )
    assert done.returncode == 1
    assert "openslide" in done.stderr.splitlines()[-1]
