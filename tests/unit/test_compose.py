"""The composition and its images: valid, closed by default, and without secrets."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsi_pipeline.provided import PROVIDED
from wsi_pipeline.service.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
OURS = ("api", "worker", "worker-cuda", "migrate", "models")
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
#: What `docker compose` and `podman-compose` put in for a variable: ${NAME:-default}, or, where
#: nothing starts without, ${NAME:?message}.
VARIABLE = re.compile(r"\$\{(\w+):(?:-([^}]*)|\?[^}]+)\}")
#: Variables of whoever runs the tests that would fill the composition in.
VARIABLES = re.compile("POSTGRES_|S3_|WSI_|COMPOSE_|PODMAN_")
NEEDED = {"POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"}
SECRETS = {*NEEDED, "WSI_TOKEN", "WSI_WEBHOOK_SECRET"}


@pytest.fixture(scope="module")
def composition() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


@pytest.fixture(scope="module")
def services(composition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = composition["services"]
    return found


def test_all_parts_are_there(services: dict[str, dict[str, Any]]) -> None:
    assert {"api", "worker", "database", "objects", "proxy"} <= set(services)
    assert services["worker-cuda"]["profiles"] == ["cuda"], "not without being asked for"


def test_every_part_is_hardened(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service, name
        assert service.get("network_mode") is None, name


def test_only_the_object_store_begins_as_root(services: dict[str, dict[str, Any]]) -> None:
    users = {name: service.get("user", "0").split(":")[0] for name, service in services.items()}
    assert {name for name, user in users.items() if user == "0"} == {"objects"}
    assert {users[name] for name in OURS} == {"10001"}


def test_what_runs_for_long_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if service["restart"] != "no":
            check = service["healthcheck"]
            assert check["test"][0] == "CMD", name
            assert check["interval"], name
            assert check["timeout"], name


def test_parts_wait_for_what_they_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            once = services[needed]["restart"] == "no"
            expected = "service_completed_successfully" if once else "service_healthy"
            assert how["condition"] == expected, f"{name} needs {needed}"
    for name in ("api", "worker", "worker-cuda"):
        assert "migrate" in services[name]["depends_on"]


def test_only_the_proxy_is_reached_from_outside_and_only_from_this_host(
    services: dict[str, dict[str, Any]],
) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports == {"proxy": ["${WSI_LISTEN:-127.0.0.1:8080}:8080"]}
    assert "WSI_LISTEN=127.0.0.1:8080" in (ROOT / ".env.example").read_text().splitlines()


def test_databases_have_no_way_out(composition: dict[str, Any]) -> None:
    assert composition["networks"]["inside"] == {"internal": True}
    for name in ("database", "objects"):
        assert composition["services"][name]["networks"] == ["inside"]


def test_volumes_are_named(composition: dict[str, Any]) -> None:
    for name, service in composition["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert volume.endswith(":ro"), name
                assert (ROOT / source).is_file(), name
            else:
                assert source in composition["volumes"], name


def test_images_are_pinned_or_built_here(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file(), name
        else:
            repository, _, tag = service["image"].rpartition(":")
            assert repository.count("/") == 2, f"{name}: which registry is meant is not left open"
            assert tag not in ("", "latest"), name


def test_secrets_are_asked_for_and_not_given(services: dict[str, dict[str, Any]]) -> None:
    """Left empty, nothing starts where somebody needs it; else it is made, or not used."""
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    # A dollar written twice is one of the shell's.
    text = COMPOSE.read_text().replace("$$", "")
    used = {match[1]: match[2] or "" for match in VARIABLE.finditer(text)}
    assert len(re.findall(r"\$", text)) == len(VARIABLE.findall(text)), "each has a default"
    assert {match[1] for match in VARIABLE.finditer(text) if ":?" in match[0]} == NEEDED
    assert used == example, "the example names every variable with its default, and no other"
    assert {name for name, value in used.items() if not value} == SECRETS
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|ACCESS_KEY", name):
                assert VARIABLE.fullmatch(value), name


def test_our_settings_are_settings(services: dict[str, dict[str, Any]]) -> None:
    known = {f"WSI_{name.upper()}" for name in ServiceSettings.model_fields}
    for name in OURS:
        used = {key for key in services[name].get("environment", {}) if key.startswith("WSI_")}
        assert used <= known, name


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_images_run_as_nobody_special(path: Path) -> None:
    text = path.read_text()
    steps = [line.split(maxsplit=1) for line in text.splitlines() if re.match("[A-Z]+ ", line)]
    words = [word for word, _ in steps]
    assert words[0] == "ARG"
    assert steps[0][1].startswith("BASE=")
    stages = [rest for word, rest in steps if word == "FROM"]
    assert (stages[0], stages[-1]) == ("${BASE} AS build", "${BASE}")
    assert ["USER", "10001:10001"] in steps
    after = words[words.index("USER") :]
    assert "RUN" not in after
    assert "COPY" not in after
    assert "HEALTHCHECK" in words
    assert ["ENTRYPOINT", '["wsi"]'] in steps
    assert "--verify-hashes --constraint requirements.lock" in text


@pytest.mark.parametrize(
    ("image", "extras"),
    [
        ("api", {"service"}),
        ("worker", {"openvino", "cut-out", "service"}),
        ("worker-cuda", {"images", "service"}),
    ],
)
def test_an_image_installs_the_extras_it_needs(image: str, extras: set[str]) -> None:
    """The API computes nothing; the CPU worker has no torch, which is most of the CUDA one."""
    text = (ROOT / "docker" / f"{image}.Dockerfile").read_text()
    # Of the stage whose installation the image copies.
    stage = re.split("^FROM ", text, flags=re.MULTILINE)[1]
    assert "COPY --from=build /opt/wsi /opt/wsi" in text
    assert set(re.findall(r"--extra ([\w-]+)", stage)) == extras
    assert "--requirements pyproject.toml" in stage


def test_the_models_are_put_in_place_whole(
    services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """Where it is missing or another, from the worker's image; what is the same stays."""
    service = services["models"]
    assert service["image"] == services["worker"]["image"]
    assert service["entrypoint"] == ["sh", "-c"]
    assert (
        "COPY --from=models /models /opt/models"
        in (ROOT / "docker" / "worker.Dockerfile").read_text()
    )
    (script,) = service["command"]
    # What Compose itself makes of it.
    script = (
        script.replace("$$", "$")
        .replace("/opt/models", str(tmp_path / "image"))
        .replace(" /models", f" {tmp_path / 'volume'}")
    )
    graphs = [Path(name, "openvino", "graph.json") for name in PROVIDED]
    given, found = (tmp_path / place / graphs[0] for place in ("image", "volume"))
    (tmp_path / "volume").mkdir()
    for graph in graphs:
        (tmp_path / "image" / graph).parent.mkdir(parents=True)
        (tmp_path / "image" / graph).write_text("the same")
    for content in ("first", "first", "second"):
        given.write_text(content)
        before = found.stat().st_ino if found.exists() else None
        subprocess.run(["sh", "-c", script], check=True)
        assert found.read_text() == content
        unchanged = before is not None and found.stat().st_ino == before
        assert unchanged == (content == "first" and before is not None)
        assert {path.name for path in (tmp_path / "volume").iterdir()} == set(PROVIDED)


def test_the_proxy_holds_nothing_back_and_logs_no_arguments() -> None:
    text = (ROOT / "docker" / "nginx.conf").read_text()
    settings = [line.strip() for line in text.splitlines()]
    for needed in (
        "proxy_request_buffering off;",
        "proxy_buffering off;",
        "client_max_body_size 0;",
        "proxy_http_version 1.1;",
        "proxy_next_upstream off;",
        "error_log /dev/stderr crit;",
    ):
        assert needed in settings
    (log_format,) = re.findall(r"log_format short '([^']*)'", text)
    logged = set(re.findall(r"\$\w+", log_format))
    assert not logged & {"$request", "$request_uri", "$args", "$http_referer", "$query_string"}


@pytest.fixture
def podman_compose(tmp_path: Path) -> dict[str, str]:
    """Variables with which ``podman-compose config`` runs, also where podman itself is missing.

    To read a composition it asks podman for nothing but its version, so a stand-in will do.
    """
    stand_in = tmp_path / "bin" / "podman"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\necho podman version 5.0.0\n")
    stand_in.chmod(0o755)
    given = {name: value for name, value in os.environ.items() if not VARIABLES.match(name)}
    return {**given, "PATH": f"{stand_in.parent}:{os.environ['PATH']}"}


def podman_compose_config(
    environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """What it makes of the composition in a folder of its own, which may have an ``.env``."""
    shutil.copy(COMPOSE, folder)
    shutil.copytree(ROOT / "docker", folder / "docker")
    beside = Path(sys.executable).parent
    command = shutil.which("podman-compose", path=f"{beside}:{environment['PATH']}")
    assert command is not None, "podman-compose is one of the test requirements"
    return subprocess.run(
        [command, "--profile", "cuda", "config"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )


def filled_in(**changed: str) -> str:
    """The example with its secrets filled in, and some otherwise."""
    example = (ROOT / ".env.example").read_text()
    return re.sub(
        r"^(\w+)=$",
        lambda line: f"{line[1]}={changed.get(line[1], 'filled-in')}",
        example,
        flags=re.MULTILINE,
    )


def test_podman_compose_reads_it(
    podman_compose: dict[str, str], services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "wsi").mkdir()
    (tmp_path / "wsi" / ".env").write_text(filled_in(WSI_TOKEN=""))
    done = podman_compose_config(podman_compose, tmp_path / "wsi")
    assert done.returncode == 0, done.stderr
    assert "${" not in done.stdout
    read = yaml.safe_load(done.stdout)["services"]
    assert set(read) == set(services)
    api = read["api"]["environment"]
    assert api["WSI_DATABASE"] == "postgresql+psycopg://wsi:filled-in@database:5432/wsi"
    assert not api["WSI_TOKEN"]
    assert json.loads(api["WSI_TRUSTED_PROXIES"]) == ["127.0.0.1", "172.31.250.0/24"]
    assert read["worker"]["environment"]["AWS_SECRET_ACCESS_KEY"] == "filled-in"
    assert read["proxy"]["ports"] == ["127.0.0.1:8080:8080"]


@pytest.mark.parametrize("empty", [None, *sorted(NEEDED)])
def test_without_a_needed_secret_nothing_starts(
    empty: str | None, podman_compose: dict[str, str], tmp_path: Path
) -> None:
    """None: there is no ``.env`` at all."""
    (tmp_path / "wsi").mkdir()
    if empty is not None:
        (tmp_path / "wsi" / ".env").write_text(filled_in(**{empty: ""}))
    done = podman_compose_config(podman_compose, tmp_path / "wsi")
    assert done.returncode != 0
    assert "is empty; set it in .env" in done.stderr


def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    command = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if command is None:
        pytest.skip("nginx is not installed")
    text = (ROOT / "docker" / "nginx.conf").read_text()
    path = tmp_path / "nginx.conf"
    path.write_text(
        text.replace("/tmp/", f"{tmp_path}/").replace("server api:8000", "server 127.0.0.1:8000")
    )
    done = subprocess.run(
        [command, "-t", "-c", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
