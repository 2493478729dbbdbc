"""A wheel carries the pages where they were built, and can be built where they were not."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BUILD = "import hatchling.build, sys; print(getattr(hatchling.build, sys.argv[1])(sys.argv[2]))"
FIND = "from api.web.routes import Pages; print(Pages.find().folder)"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The API and what a wheel is made by; of the other packages only that they are there."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(REPOSITORY / name, folder)
    shutil.copytree(REPOSITORY / "api", folder / "api", ignore=shutil.ignore_patterns("pages"))
    for name in ("workers", "wsi_pipeline"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    return folder


def build(checkout: Path, kind: str = "build_wheel") -> Path:
    """The wheel of a checkout."""
    out = checkout.parent / kind
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(out)],
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return out / done.stdout.split()[-1]


def build_pages(checkout: Path) -> None:
    (checkout / "web" / "dist" / "assets").mkdir(parents=True)
    (checkout / "web" / "dist" / "index.html").write_text("<!doctype html>")
    (checkout / "web" / "dist" / "assets" / "main-B2x.js").write_text("export {};")
    (checkout / "web" / "package.json").write_text("{}")


def test_a_wheel_holds_the_pages(checkout: Path) -> None:
    build_pages(checkout)
    with zipfile.ZipFile(build(checkout)) as wheel:
        names = set(wheel.namelist())
        wheel.extractall(checkout.parent / "installed")
    assert {"api/pages/index.html", "api/pages/assets/main-B2x.js", "api/web/routes.py"} <= names
    assert not any(name.startswith("web") for name in names)
    installed = checkout.parent / "installed"
    # The rest of the program is this one's.
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{REPOSITORY}"}
    shutil.rmtree(installed / "wsi_pipeline")
    found = subprocess.run(
        [sys.executable, "-c", FIND],
        cwd=checkout.parent,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.stdout.strip() == str(installed / "api" / "pages")


def test_a_wheel_without_pages(checkout: Path) -> None:
    with zipfile.ZipFile(build(checkout)) as wheel:
        names = wheel.namelist()
    assert "api/web/routes.py" in names
    assert not any("pages/" in name for name in names)


def test_an_editable_install_leaves_pages_where_they_are(checkout: Path) -> None:
    build_pages(checkout)
    with zipfile.ZipFile(build(checkout, "build_editable")) as wheel:
        names = wheel.namelist()
        (pth,) = (name for name in names if name.endswith(".pth"))
        assert set(wheel.read(pth).decode().split()) == {str(checkout)}
    assert not any("index.html" in name for name in names)
