"""Files made from code, and the proof that they are up to date: `python -m agents.generate` writes, `--check` only looks.

To add one, add a line to `GENERATED`: the path from the project's root, and a function that gives the whole text; or to
`SECTIONS`: a file and the name of the marked section in it that the function fills.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agents.bounds import bounds_table
from agents.contracts import Schema, brand_schema, event_schema, moment_schema
from agents.settings_table import settings_table

ROOT = Path(__file__).resolve().parents[1]


def _json(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


GENERATED: Mapping[str, Callable[[], str]] = {
    "schemas/contracts/event.schema.json": lambda: _json(event_schema()),
    "schemas/contracts/brand.schema.json": lambda: _json(brand_schema()),
    "schemas/contracts/moment.schema.json": lambda: _json(moment_schema()),
}


SECTIONS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("README.md", "settings"): settings_table,
    ("deploy/OPERATIONS.md", "bounds"): bounds_table,
}


def stale(root: Path) -> dict[str, str]:
    """Path and new text of every generated file under `root` that is missing or differs."""
    texts = {path: make() for path, make in GENERATED.items()}
    for (path, section), make in SECTIONS.items():
        whole = texts.get(path) or _read(root / path)
        if whole is not None:
            texts[path] = _fill(whole, section, make())
    return {path: text for path, text in texts.items() if _read(root / path) != text}


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """0, or 1 where `--check` found stale files; prints a line per file that was written or is stale."""
    parser = argparse.ArgumentParser(prog="python -m agents.generate", description="Write the files that are made from code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    check = parser.parse_args(argv).check
    old = stale(root)
    for path, text in old.items():
        if not check:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}: {'stale, run python -m agents.generate' if check else 'written'}\n")
    return 1 if check and old else 0


def _fill(whole: str, section: str, text: str) -> str:
    start, end = f"<!-- {section}: made by python -m agents.generate -->\n", f"<!-- /{section} -->"
    before, opening, rest = whole.partition(start)
    _, closing, after = rest.partition(end)
    if not opening or not closing:
        raise ValueError(f"no section {section!r} between its two markers")
    return before + start + text + end + after


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
