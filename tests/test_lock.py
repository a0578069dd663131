"""The lock files hold what pyproject.toml asks for, with hashes, and nothing of the machine that made them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "deploy/requirements.lock")
PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?P<rest>(?:.*\\\n)(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def pins(lock: str) -> dict[str, list[Version]]:
    """Every package of a lock file with the versions pinned (one per Python where they differ)."""
    found: dict[str, list[Version]] = {}
    for pin in PIN.finditer((ROOT / lock).read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(pin["name"]), []).append(Version(pin["version"]))
    return found


def asked(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for: the runtime dependencies, the build's, and those of `extras`."""
    optional = PROJECT["project"]["optional-dependencies"]
    lines = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["build-system"]["requires"],
        *(line for extra in extras for line in optional[extra]),
    ]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ("local", "dev", "build")), ("deploy/requirements.lock", ("build",))]
)
def test_the_lock_satisfies_all_that_pyproject_asks_for(lock: str, extras: tuple[str, ...]) -> None:
    locked = pins(lock)
    missing = [
        str(requirement)
        for requirement in asked(*extras)
        if not (versions := locked.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version, prereleases=True) for version in versions)
    ]
    assert missing == [], "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert len(re.findall(r"^[^\s#]", text, re.MULTILINE)) == len(PIN.findall(text))


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_names_no_address_and_no_path(lock: str) -> None:
    assert re.findall(r"://|--index|--find-links|file:| /\S+/", (ROOT / lock).read_text(encoding="utf-8")) == []


def test_the_image_and_the_workbench_have_the_same_versions() -> None:
    workbench = pins("requirements.lock")
    assert {name: versions for name, versions in pins("deploy/requirements.lock").items() if workbench.get(name) != versions} == {}
