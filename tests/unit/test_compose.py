"""The composition and its images: valid, closed by default, and without secrets."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
OURS = ("api", "worker", "worker-cuda", "migrate", "demo-model")
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
#: What `docker compose` and `podman-compose` put in for a variable: ${NAME}, :-default, :?message.
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


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
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    used = {match[1]: match[2] for match in VARIABLE.finditer(COMPOSE.read_text())}
    assert set(used) == set(example), "the example names every variable, and no other"
    required = {name for name, kind in used.items() if kind == "?"}
    assert required == {"POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "WSI_TOKEN"}
    for name, value in example.items():
        if name in required or "SECRET" in name:
            assert value == "", f"{name} is a secret"
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|ACCESS_KEY", name):
                assert VARIABLE.fullmatch(value), name


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_images_run_as_nobody_special(path: Path) -> None:
    text = path.read_text()
    steps = [line.split(maxsplit=1) for line in text.splitlines() if re.match("[A-Z]+ ", line)]
    words = [word for word, _ in steps]
    assert words[0] == "ARG"
    assert steps[0][1].startswith("BASE=")
    assert [rest for word, rest in steps if word == "FROM"] == ["${BASE} AS build", "${BASE}"]
    assert ["USER", "10001:10001"] in steps
    after = words[words.index("USER") :]
    assert "RUN" not in after
    assert "COPY" not in after
    assert "HEALTHCHECK" in words
    assert ["ENTRYPOINT", '["wsi"]'] in steps
    assert "--verify-hashes --constraint requirements.lock" in text


def test_the_api_image_computes_nothing() -> None:
    """What it installs is part of what the project needs, at the same versions, without torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    group = project["dependency-groups"]["api"]
    assert set(group) <= set(project["project"]["dependencies"])
    names = {re.match(r"[a-z0-9-]+", line)[0] for line in group}  # type: ignore[index]  # all are names
    assert not names & {"torch", "torchvision", "openvino", "nncf", "dask", "distributed"}
    assert "--group pyproject.toml:api" in (ROOT / "docker" / "api.Dockerfile").read_text()


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


def test_podman_compose_reads_it(tmp_path: Path) -> None:
    command = shutil.which("podman-compose")
    if command is None or shutil.which("podman") is None:
        pytest.skip("podman-compose and podman are not installed")
    filled = re.sub(
        r"^(\w+)=$", r"\1=filled-in", (ROOT / ".env.example").read_text(), flags=re.MULTILINE
    )
    (tmp_path / "env").write_text(filled)
    done = subprocess.run(
        [command, "--env-file", str(tmp_path / "env"), "-f", str(COMPOSE), "config"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)
    assert "${" not in done.stdout
    url = "postgresql+psycopg://wsi:filled-in@database:5432/wsi"
    assert read["services"]["api"]["environment"]["WSI_DATABASE"] == url


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
