"""What is installed holds every file of the packages: code, migrations, page, word lists."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "streams", "agents")
BUILD = ("pyproject.toml", "README.md", "LICENSE")
COMMAND = [
    sys.executable,
    "-m",
    "pip",
    "wheel",
    "--quiet",
    "--no-input",
    "--no-deps",
    "--no-build-isolation",
    "--wheel-dir",
    "out",
    ".",
]


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    for name in BUILD:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tmp_path / name)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    run = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert run.returncode == 0, run.stderr
    [wheel] = (tmp_path / "out").glob("drumbeat-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    there = {
        path.relative_to(tmp_path).as_posix() for package in PACKAGES for path in (tmp_path / package).rglob("*") if path.is_file()
    }
    assert sorted(there - packed) == []
    assert [name for name in packed if name.startswith("tests/")] == []
