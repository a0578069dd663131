"""SQL that only reads, for people on this machine: the door to an embedded ClickHouse that the worker holds open."""

from __future__ import annotations

import re

from schemas.errors import ConfigurationError

MAX_SQL_CHARS = 20_000

_READS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS")
# Strings, quoted names and comments in one pass from the left, as the server's lexer does it: each may hold the start of another.
_OPAQUE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|(?P<name>"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/""", re.DOTALL
)
_NAME = "q__"
# What could hide a part of the statement from that pass (here-documents, typographic or unclosed quotes), or call by a quoted name.
_HIDES = re.compile(rf"[$‘’“”\"`'\\]|/\*|\b{_NAME}\s*\(|;")
_WRITES = re.compile(r"\b(INSERT\s+INTO|INTO\s+OUTFILE|SETTINGS\s+\w+\s*=|FORMAT\s+\w+\s*$)", re.IGNORECASE)
# Table functions that reach files, other hosts or programs with the worker's rights.
_REACHES_OUT = re.compile(
    r"\b(file\w*|url\w*|s3\w*|gcs|hdfs\w*|azureBlobStorage\w*|remote\w*|cluster\w*|executable|mysql|postgresql|mongodb|redis|sqlite"
    r"|odbc|jdbc|iceberg\w*|paimon\w*|delta\w*|hudi\w*|arrowFlight|ytsaurus|python|input|dictionary|sleep\w*)\s*\(",
    re.IGNORECASE,
)


def check_read_only(sql: str) -> str:
    """The statement without its last semicolon; raises ConfigurationError if it could do more than read drumbeat's own tables."""
    statement = sql.strip().removesuffix(";").strip()
    if len(statement) > MAX_SQL_CHARS:
        raise ConfigurationError(f"the statement is longer than {MAX_SQL_CHARS} characters")
    bare = _OPAQUE.sub(lambda found: _NAME if found["name"] else "''" if found[0].startswith("'") else " ", statement).strip()
    first = re.match(r"[(\s]*(\w*)", bare)
    if first is None or first[1].upper() not in _READS:
        raise ConfigurationError(f"only {', '.join(_READS)} can be asked here")
    hidden = _HIDES.search(bare.replace("''", ""))
    if hidden:
        raise ConfigurationError(f"{hidden[0]!r} cannot be used here; one plain statement at a time")
    found = _WRITES.search(bare) or _REACHES_OUT.search(bare)
    if found:
        raise ConfigurationError(f"{found[1].split()[0]} cannot be used here: this door only reads drumbeat's tables")
    return statement
