"""The embedded engine as a server runs it: many statements at once, each with settings and a database of its own."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chdb

from tests.clickhouse_statements import Refused, Statement

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_UNKNOWN_EXCEPTION = 1002


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """A table that travels with a SELECT."""

    name: str
    structure: str
    form: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A statement and all that the request says about it."""

    statement: Statement
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"
    tables: Sequence[ExternalTable] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The result and what it took."""

    body: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    result_rows: int
    elapsed_ns: int


class Engine:
    """chDB over a directory. Any thread may ask, many at once: handles of one engine run side by side, a handle one at a time.

    A handle per statement costs 1 ms and is what a request without a session is in ClickHouse: nothing of SET or USE is left.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._held = chdb.connect(self._path)  # with the last handle the engine would go
        version, timezone = self._held.query("SELECT version(), timezone()", "TabSeparated").bytes().decode().split()
        self.version, self.timezone = str(version), str(timezone)

    def close(self) -> None:
        """Let go of the directory."""
        self._held.close()

    def ask(self, question: Question) -> Answer:
        """The result; raises Refused with the engine's code."""
        begun_ns = time.monotonic_ns()
        handle = chdb.connect(self._path)
        try:
            if question.settings:
                handle.query("SET " + ", ".join(f"{_name(name)} = {_quoted(value)}" for name, value in question.settings.items()))
            if question.database:
                handle.query(f"USE {_quoted(question.database, '`')}")
            for table in question.tables:
                handle.query(f"CREATE TEMPORARY TABLE {_quoted(table.name, '`')} ({table.structure})")
                _insert(handle, Statement("insert", f"INSERT INTO {_quoted(table.name, '`')}", "", table.form, table.data), {})
            return _answer(question, _run(handle, question), begun_ns)
        except RuntimeError as error:
            raise _refused(str(error)) from None
        finally:
            handle.close()


def _run(handle: Any, question: Question) -> Any:
    if question.statement.data is not None:
        return _insert(handle, question.statement, question.params)
    return handle.query(question.statement.text, question.default_format, params=dict(question.params))


def _insert(handle: Any, statement: Statement, params: Mapping[str, str]) -> Any:
    """From a file: behind the statement, the engine's client would look for a ';' in binary data."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(statement.data or b"")
        file.flush()
        sql = f"{statement.text} FROM INFILE {_quoted(file.name)} {statement.rest} FORMAT {statement.form}"
        return handle.query(sql, "TabSeparated", params=dict(params))


def _answer(question: Question, result: Any, begun_ns: int) -> Answer:
    is_insert = question.statement.kind == "insert"
    rows, read = int(result.rows_read()), int(result.storage_rows_read())
    return Answer(
        body=bytes(result.bytes() or b""),
        read_rows=read or rows,
        read_bytes=int(result.storage_bytes_read()),
        written_rows=(rows or read) if is_insert else 0,  # from a file it counts as the one, else as the other
        result_rows=0 if is_insert else rows,
        elapsed_ns=time.monotonic_ns() - begun_ns,
    )


def _refused(text: str) -> Refused:
    found = _CODE.search(text)
    return Refused(int(found[1]), text[found.end() :]) if found else Refused(_UNKNOWN_EXCEPTION, f"{text} (UNKNOWN_EXCEPTION)")


def _name(setting: str) -> str:
    if not setting.isidentifier():
        raise Refused(115, f"Unknown setting '{setting}'. (UNKNOWN_SETTING)")
    return setting


def _quoted(text: str, sign: str = "'") -> str:
    escaped = text.replace("\\", "\\\\").replace(sign, f"\\{sign}")
    return f"{sign}{escaped}{sign}"
