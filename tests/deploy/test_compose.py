"""The compose file is valid, publishes nothing beyond loopback, pins its images, holds no secret and starts drumbeat rightly."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.__main__ import build_parser
from agents.clickhouse_dsn import parse_dsn
from agents.settings import load_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
JOBS = {"topics", "schema"}
EXAMPLE = dict(
    line.split("=", 1) for line in (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines() if re.match("[A-Z]", line)
)


def filled_in(text: str) -> str:
    """The text with each `${NAME:?...}` replaced, as compose would do it."""
    return re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", r"value-of-\1", text)


def test_it_is_a_compose_file_by_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def test_docker_compose_takes_it(tmp_path: Path) -> None:
    compose = ["docker", "compose"] if shutil.which("docker") else []
    if not compose or subprocess.run([*compose, "version"], capture_output=True, check=False, timeout=30).returncode != 0:
        pytest.skip("docker compose is not installed here")
    environment = tmp_path / "env"
    environment.write_text("".join(f"{name}=x\n" for name in EXAMPLE), encoding="utf-8")
    command = [*compose, "--env-file", str(environment), "--file", str(COMPOSE), "config", "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr


def test_every_image_is_pinned_by_version() -> None:
    assert [service["image"] for service in SERVICES.values() if not re.search(r":v?\d+\.\d+", service["image"])] == []


def test_nothing_is_published_beyond_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) >= 4
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []
    assert {name: service["network_mode"] for name, service in SERVICES.items() if "network_mode" in service} == {}


def test_everything_that_stays_up_is_watched() -> None:
    unwatched = [
        name for name, service in SERVICES.items() if name not in JOBS | {"worker"} and "test" not in service.get("healthcheck", {})
    ]
    assert unwatched == []
    assert "HEALTHCHECK" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")  # the worker's
    assert [name for name in SERVICES if name not in JOBS and SERVICES[name].get("restart") != "unless-stopped"] == []


def test_no_secret_stands_in_the_file_and_the_example_names_them_all() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+)", text)) == set(EXAMPLE)
    assert set(EXAMPLE.values()) == {""}
    assert [part for part in re.findall(r"\$\{[^}]*\}", text) if ":?" not in part] == [], "an empty secret must stop `up`"
    literal = [
        f"{name}.{key}"
        for name, service in SERVICES.items()
        for key, value in service.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|_KEY$", key) and not str(value).startswith("${")
    ]
    assert literal == []


def test_what_it_mounts_is_there() -> None:
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert [mount for mount in mounts if mount.startswith(".") and not (DEPLOY / mount).is_dir()] == []


@pytest.mark.parametrize("name", sorted(OURS))
def test_drumbeat_takes_its_environment_and_command(name: str) -> None:
    service = OURS[name]
    settings = load_settings({key: filled_in(value) for key, value in service["environment"].items()})
    target = parse_dsn(settings.clickhouse)
    assert settings.kafka == "kafka:9092"
    assert (target.host, target.port, target.username, target.database) == ("clickhouse", 8123, "drumbeat", "drumbeat")
    assert target.password == "value-of-CLICKHOUSE_PASSWORD"
    assert callable(build_parser().parse_args(service["command"]).run)


@pytest.mark.parametrize("name", sorted(OURS))
def test_drumbeat_runs_without_rights(name: str) -> None:
    service = OURS[name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])


def test_the_worker_waits_for_topics_and_schema() -> None:
    waits = {name: what["condition"] for name, what in SERVICES["worker"]["depends_on"].items()}
    assert waits == {
        "kafka": "service_healthy",
        "topics": "service_completed_successfully",
        "schema": "service_completed_successfully",
    }
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_grafana_gets_what_its_provisioning_asks_for() -> None:
    provisioning = DEPLOY / "grafana/provisioning"
    sources = [
        source
        for path in provisioning.glob("datasources/*.yaml")
        for source in yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    ]
    providers = [
        provider
        for path in provisioning.glob("dashboards/*.yaml")
        for provider in yaml.safe_load(path.read_text(encoding="utf-8"))["providers"]
    ]
    grafana, [clickhouse] = SERVICES["grafana"], [source for source in sources if "clickhouse" in source["type"]]
    assert grafana["environment"]["GF_PLUGINS_PREINSTALL"].split("@")[0] == clickhouse["type"]
    assert clickhouse["secureJsonData"]["password"].strip("${}") in grafana["environment"]
    assert clickhouse["jsonData"]["host"] in SERVICES
    assert clickhouse["jsonData"]["username"] == SERVICES["clickhouse"]["environment"]["CLICKHOUSE_USER"]
    assert {provider["options"]["path"] for provider in providers} <= {volume.split(":")[1] for volume in grafana["volumes"]}
