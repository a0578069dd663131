"""ClickHouse, embedded or a server: columns in, frames out, and every failure either worth a retry or a bug.

Insertion is at least once. It is effectively once to whoever reads through the views, because every table replaces rows by key and
version: the same columns again change nothing.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import clickhouse_connect
import polars as pl
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError, ProgrammingError

from agents.clickhouse_dsn import Target, parse_dsn
from schemas.errors import ConfigurationError, SinkUnavailable
from schemas.frames import written
from schemas.migrations import MIGRATIONS_TABLE, Migration, load_migrations
from schemas.rows import Columns

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 60  # above it the insert is sent again; a batch of 100,000 rows takes under a second

_INSERT_SETTINGS = {
    "async_insert": 0,  # else the server may answer before the rows are in a part
    "wait_end_of_query": 1,  # else an HTTP 200 may be sent before a late failure
    # Posts with absurd dates spread a batch over hundreds of months; refusing them (the default is 100) would repeat for ever.
    "max_partitions_per_insert_block": 0,
}

_RETRIABLE_CODES = frozenset(
    {
        *(3, 74, 75, 76, 95, 96, 209, 210, 279, 425),  # sockets, files, network
        *(159, 160, 201, 202, 203, 236, 241, 252, 290, 319, 373, 394, 439, 473, 745),  # too slow, too many, memory, parts, aborted
        *(164, 242, 243),  # read-only, no space on disk
        *(
            225,
            244,
            254,
            285,
            286,
            289,
            305,
            415,
            416,
            499,
            722,
            999,
        ),  # Keeper, replicas, quorum, object storage, tables still loading
        *(192, 193, 194, 497, 516),  # login or grants: whoever repairs them does so on the server, and alerts must go on meanwhile
    }
)
_NO_SCHEMA_CODES = frozenset({60, 81})  # unknown table, unknown database
_EPHEMERAL_STATUS = ("HTTP status 5", "HTTP status 408", "HTTP status 429")  # of a proxy or load balancer: no ClickHouse code


class ClickHouse:
    """One connection; any thread may call it, one at a time. It opens with the first call and again after a failure.

    Raises SinkUnavailable for what a retry may cure, ConfigurationError for a missing schema or package; a wrong statement or
    column is a bug and comes out as clickhouse_connect's own error. No message holds the password.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._client: Any = None
        self._lock = threading.Lock()

    @classmethod
    def connect(cls, dsn: str) -> ClickHouse:
        """A connection to `dsn`, not opened yet; raises ConfigurationError if `dsn` is none."""
        return cls(parse_dsn(dsn))

    @property
    def database(self) -> str:
        """The database that all unqualified names are in."""
        return self._target.database

    def insert(self, columns: Columns) -> None:
        """Return only when the rows are written; nothing to write is written at once.

        What "written" means:
        1. all columns are sent in one insert;
        2. the server put them into parts of the table, and said so (`async_insert=0`, `wait_end_of_query=1`);
        3. only then this returns, and offsets may move. If it raises, part of the rows may be there: send the same again.
        """
        if columns.rows == 0:
            return
        data = written(columns.frame, "uncompressed" if self._target.embedded else "lz4").getvalue()  # 1
        self._call(
            lambda client: client.raw_insert(  # 1, 2
                columns.table, columns.frame.columns, data, settings=_INSERT_SETTINGS, fmt="ArrowStream"
            )
        )  # 3

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pl.DataFrame:
        """The result of a SELECT; `{name:Type}` in `sql` is bound to `parameters`, never pasted."""
        data = self._call(lambda client: client.raw_query(sql, parameters=dict(parameters or {}), fmt="ArrowStream"))
        return pl.read_ipc_stream(io.BytesIO(data))

    def command(self, sql: str) -> None:
        """Run a statement that returns nothing."""
        self._call(lambda client: client.command(sql))

    def ping(self) -> bool:
        """Whether ClickHouse answers now; never raises SinkUnavailable."""
        try:
            return bool(self._call(lambda client: client.ping()))
        except SinkUnavailable:
            return False

    def server_version(self) -> str:
        """Version of the server, as it says itself."""
        return self._call(lambda client: str(client.server_version))

    def apply_migrations(self) -> list[str]:
        """Names of the migrations that were applied now; creates the database if need be. Safe to run twice, and at once."""
        self._call(self._create_database)
        self.command(MIGRATIONS_TABLE)
        applied = self.pending()
        for migration in applied:
            for statement in migration.statements:
                self.command(statement)
            done = pl.DataFrame({"number": [migration.number], "name": [migration.name]}, schema_overrides={"number": pl.UInt32})
            self.insert(Columns("schema_migrations", done))
        return [migration.name for migration in applied]

    def pending(self) -> list[Migration]:
        """Migrations that were not applied yet; all of them if there is no database."""
        if not self._call(self._has_migrations_table):
            return list(load_migrations())
        done = set(self.query("SELECT number FROM schema_migrations")["number"].to_list())
        return [migration for migration in load_migrations() if migration.number not in done]

    def close(self) -> None:
        """Let go of the connection; a later call opens it again."""
        with self._lock:
            self._drop()

    def _create_database(self, client: Any) -> None:
        # asked first, because a user without the right to create databases may well have one
        if not client.command(f"EXISTS DATABASE `{self.database}`", use_database=False):
            client.command(f"CREATE DATABASE IF NOT EXISTS `{self.database}`", use_database=False)

    def _has_migrations_table(self, client: Any) -> bool:
        return bool(client.command(f"EXISTS DATABASE `{self.database}`", use_database=False)) and bool(
            client.command(f"EXISTS TABLE `{self.database}`.schema_migrations", use_database=False)
        )

    def _call(self, work: Callable[[Any], T]) -> T:
        with self._lock:
            try:
                if self._client is None:
                    self._client = self._open()
                return work(self._client)
            except (ClickHouseError, OSError) as error:
                raise self._translated(error) from None  # the cause may quote the login; the message is kept

    def _open(self) -> Any:
        try:
            client = clickhouse_connect.get_client(
                **self._target.options(connect_timeout=CONNECT_TIMEOUT_S, send_receive_timeout=ANSWER_TIMEOUT_S)
            )
        except ImportError:
            raise ConfigurationError("chdb:// needs the embedded ClickHouse: pip install 'drumbeat[local]'") from None
        except ProgrammingError as error:
            if not self._target.embedded:
                raise
            raise SinkUnavailable(
                f"{self._target}: is open in another process, or this one has another path open: {error}"
            ) from None
        client.database = self.database  # named only now: opening must work before the database exists
        return client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _translated(self, error: Exception) -> Exception:
        code = getattr(error, "code", None)
        message = self._target.masked(" ".join(str(error).split()))[:1_000]
        if code in _NO_SCHEMA_CODES:
            return ConfigurationError(f"{self._target}: {message}; is the schema applied? Run: drumbeat schema apply")
        if _is_retriable(error, code):
            if not self._target.embedded:  # a fresh connection may reach another node; the embedded one has nothing to reconnect to
                self._drop()
            return SinkUnavailable(f"{self._target}: {message}")
        return error


def _is_retriable(error: Exception, code: int | None) -> bool:
    if code is not None:
        return code in _RETRIABLE_CODES
    if isinstance(error, OSError | OperationalError):
        return True
    return type(error) is DatabaseError and any(status in str(error) for status in _EPHEMERAL_STATUS)
