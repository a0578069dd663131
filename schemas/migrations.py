"""The ClickHouse migrations of `schemas/clickhouse`, in order.

Wherever one broke off it may run again from its start; an applied file is never edited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of statements."""

    number: int
    name: str  # the file's, without .sql
    statements: tuple[str, ...]


MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    applied_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY number
"""
"""What was applied; written after a migration's last statement, so that a crash in between runs it again, which is harmless."""


def load_migrations() -> tuple[Migration, ...]:
    """All migrations by number."""
    files = [item for item in resources.files("schemas").joinpath("clickhouse").iterdir() if _NAME.fullmatch(item.name)]
    return tuple(
        Migration(int(file.name[:4]), file.name.removesuffix(".sql"), split_statements(file.read_text(encoding="utf-8")))
        for file in sorted(files, key=lambda item: item.name)
    )


def split_statements(sql: str) -> tuple[str, ...]:
    """The statements of a file, without its comment lines. A statement ends with ';' at the end of a line.

    >>> split_statements("-- why;\\nSELECT ';' AS a;\\n\\nSELECT 2 -- two\\n;\\n")
    ("SELECT ';' AS a", 'SELECT 2 -- two')
    """
    parts = re.split(r";[ \t]*$", _COMMENT.sub("", sql), flags=re.MULTILINE)
    return tuple(part.strip() for part in parts if part.strip())
