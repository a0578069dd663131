"""The image is pinned, runs as nobody, is built from what is there, and its health check follows /livez."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agents.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Every instruction with its arguments, continued lines joined, comments left out."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def final_stage() -> list[tuple[str, str]]:
    """The instructions of the image that is run."""
    steps = instructions()
    return steps[max(index for index, (name, _) in enumerate(steps) if name == "FROM") :]


def argument(name: str) -> str:
    """The argument of the last such instruction of the final stage."""
    return [argument for instruction, argument in final_stage() if instruction == name][-1]


def health_command() -> list[str]:
    """The health check's program and arguments."""
    command: list[str] = json.loads(argument("HEALTHCHECK").partition("CMD ")[2])
    return command


@contextmanager
def livez(status: int) -> Iterator[str]:
    """The address of a server whose /livez answers with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"0.0.0.0:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_base_image_is_pinned_by_version() -> None:
    bases = [argument.split()[0] for name, argument in instructions() if name == "FROM"]
    assert len(bases) == 2
    assert [base for base in bases if not re.search(r":\d+\.\d+\.\d+-", base)] == []


def test_both_stages_have_the_same_python() -> None:
    assert len({argument.split()[0].split("-")[0] for name, argument in instructions() if name == "FROM"}) == 1


def test_it_runs_as_a_user_without_rights() -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", argument("USER"))


def test_it_runs_the_worker() -> None:
    assert (json.loads(argument("ENTRYPOINT")), json.loads(argument("CMD"))) == (["drumbeat"], ["worker"])


def test_libraries_come_from_the_lock_with_hashes() -> None:
    installs = [
        step for name, argument in instructions() if name == "RUN" for step in argument.split("&&") if "pip install" in step
    ]
    assert [step for step in installs if "--require-hashes" not in step and "--no-deps" not in step] == []
    assert any("--require-hashes" in step for step in installs)


def test_what_it_copies_is_there_and_let_through() -> None:
    copied = [source for name, rest in instructions() if name == "COPY" and "--from" not in rest for source in rest.split()[:-1]]
    let_through = re.findall(r"^!(\S+)", (ROOT / "deploy/Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"schemas", "streams", "agents"} <= set(copied)
    assert sorted(copied) == sorted(let_through)
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_the_settings_it_carries_are_settings() -> None:
    settings = load_settings(dict(pair.split("=", 1) for pair in argument("ENV").split() if pair.startswith("DRUMBEAT_")))
    assert (settings.listen, settings.log_format) == ("0.0.0.0:6066", "json")


@pytest.mark.parametrize(("healthy", "status"), [(True, 200), (False, 503), (False, 404)])
def test_the_health_check_follows_livez(healthy: bool, status: int) -> None:
    with livez(status) as listen:
        environment = {"DRUMBEAT_LISTEN": listen}
        command = [sys.executable, *health_command()[1:]]
        run = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=30)
    assert (run.returncode == 0) is healthy


def test_the_health_check_fails_where_nobody_listens() -> None:
    with livez(200) as listen:
        pass
    run = subprocess.run(
        [sys.executable, *health_command()[1:]], env={"DRUMBEAT_LISTEN": listen}, capture_output=True, check=False, timeout=30
    )
    assert run.returncode != 0
