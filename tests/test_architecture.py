"""The house rules that a reviewer would otherwise have to remember, checked on every module there is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "streams", "agents")
HEAVY = ("faust", "mode", "aiokafka", "clickhouse_connect", "chdb", "prometheus_client")
FORBIDDEN_IMPORTS = {"schemas": {"streams", "agents"}, "streams": {"agents"}, "agents": set[str]()}
MAY_READ_THE_ENVIRONMENT = ("agents/__init__.py", "agents/settings.py", "agents/__main__.py", "agents/cli.py", "agents/cli/")
CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "perf_counter"),
    ("time", "perf_counter_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}
DRAWER_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
PICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal"}


def sources(*packages: str) -> list[Path]:
    """Every Python file of the packages."""
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def module_name(path: Path) -> str:
    """The dotted name under which `path` is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that the tree imports, anywhere in it, relative imports made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            yield f"{package}.{node.module or ''}"


def clock_reads(tree: ast.AST) -> Iterator[str]:
    """Every way the tree gets at a clock: `time.time`, `from time import time`, `datetime.datetime.now`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names if (node.module, alias.name) in CLOCKS)
        elif isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if (name, node.attr) in CLOCKS:
                yield f"{name}.{node.attr}"


def environment_reads(tree: ast.AST) -> Iterator[str]:
    """Every way the tree gets at the process environment."""
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os" and node.attr in names:
            yield f"os.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (f"os.{alias.name}" for alias in node.names if alias.name in names)


def parse(path: Path) -> ast.AST:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_operators_and_records_load_nothing_that_does_io() -> None:
    modules = [module_name(path) for path in sources("schemas", "streams")]
    assert len(modules) > 10
    probe = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*sorted({{name.partition('.')[0] for name in sys.modules}} & set({HEAVY!r})))"
    )
    run = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_never_go_back(package: str) -> None:
    back = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(package)
        for name in imported(parse(path), package)
        if name.partition(".")[0] in FORBIDDEN_IMPORTS[package] | {"tests"}
    ]
    assert back == []


def test_polars_learns_how_to_keep_memory_before_it_is_there_and_whoever_set_it_has_the_last_word() -> None:
    probe = "import os, sys, agents; print('polars' in sys.modules, os.environ['_RJEM_MALLOC_CONF'])"
    unset = {name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"}
    for given, expected in ((unset, "dirty_decay_ms:30000,muzzy_decay_ms:30000"), (unset | {"_RJEM_MALLOC_CONF": "a:b"}, "a:b")):
        run = subprocess.run(
            [sys.executable, "-c", probe], cwd=ROOT, env=given, capture_output=True, text=True, check=True, timeout=100
        )
        assert run.stdout.split() == ["False", expected]


def test_only_the_edge_reads_the_environment() -> None:
    reads = [
        f"{name}: {what}"
        for path in sources(*PACKAGES)
        if not (name := path.relative_to(ROOT).as_posix()).startswith(MAY_READ_THE_ENVIRONMENT)
        for what in environment_reads(parse(path))
    ]
    assert reads == []


def test_operators_and_records_read_no_clock() -> None:
    reads = [f"{path.relative_to(ROOT)}: {what}" for path in sources("schemas", "streams") for what in clock_reads(parse(path))]
    assert reads == []


def test_no_file_is_a_drawer_for_anything() -> None:
    paths = sources(*PACKAGES, "tests", "deploy")
    assert [str(path.relative_to(ROOT)) for path in paths if path.stem in DRAWER_NAMES] == []


def test_nothing_unpickles() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(*PACKAGES, "tests", "deploy")
        for name in imported(parse(path), "")
        if name.partition(".")[0] in PICKLERS
    ]
    assert found == []


def test_every_module_says_what_it_guarantees() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources(*PACKAGES)
        if isinstance(tree := parse(path), ast.Module) and tree.body and not ast.get_docstring(tree)
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("expected", "source"),
    [
        (["time.time"], "import time\ntime.time()"),
        (["time.time"], "from time import time"),
        (["datetime.now"], "import datetime\ndatetime.datetime.now()"),
        (["datetime.now"], "from datetime import datetime\ndatetime.now(tz=None)"),
        ([], "import time\ntime.strftime('%Y')"),
        ([], "def now(time): return time.start"),
    ],
)
def test_a_clock_is_seen_however_it_is_reached(expected: list[str], source: str) -> None:
    assert list(clock_reads(ast.parse(source))) == expected


@pytest.mark.parametrize(
    ("expected", "source"),
    [
        (["os.environ"], "import os\nos.environ['A']"),
        (["os.getenv"], "from os import getenv, path"),
        ([], "import os\nos.path.join('a')"),
    ],
)
def test_the_environment_is_seen_however_it_is_reached(expected: list[str], source: str) -> None:
    assert list(environment_reads(ast.parse(source))) == expected
