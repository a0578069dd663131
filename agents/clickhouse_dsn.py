"""What a ClickHouse DSN says. Its password is in no repr, message or log."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from schemas.errors import ConfigurationError

DEFAULT_DATABASE = "drumbeat"

_TLS = {"clickhouse": False, "http": False, "clickhouses": True, "https": True}
_OPTIONS = ("ca_cert", "client_cert", "client_cert_key", "verify", "database")
_EXPECTED = "expected chdb://PATH or clickhouse(s)://user:password@host:port/database"


@dataclass(frozen=True, slots=True)
class Target:
    """One ClickHouse: a directory (`path`), or a server's HTTP interface (`host`)."""

    database: str = DEFAULT_DATABASE
    path: str = ""
    host: str = ""
    port: int = 0
    secure: bool = False
    username: str = "default"
    password: str = field(default="", repr=False)
    tls: tuple[tuple[str, str], ...] = ()  # ca_cert, client_cert, client_cert_key, verify

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process. There is one engine path per process, and one process per path."""
        return bool(self.path)

    def __str__(self) -> str:
        if self.embedded:
            return f"chdb://{self.path}"
        return f"clickhouse{'s' if self.secure else ''}://{self.username}@{self.host}:{self.port}/{self.database}"

    def masked(self, text: str) -> str:
        """The text without the password."""
        return text.replace(self.password, "***") if self.password else text

    def options(self, **timeouts: int) -> dict[str, Any]:
        """Keyword arguments of clickhouse_connect.get_client; the database is not among them, as it may not exist yet."""
        if self.embedded:
            Path(self.path).mkdir(parents=True, exist_ok=True)
            return {"interface": "chdb", "path": self.path}
        return {
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "secure": self.secure,
            "autogenerate_session_id": False,  # a session takes one query at a time and dies with its node
            **dict(self.tls),
            **timeouts,
        }


def parse_dsn(dsn: str) -> Target:
    """The target of a DSN; raises ConfigurationError, which does not repeat the DSN as it may hold a password.

    `?database=NAME` goes with chdb:// too; `ca_cert`, `client_cert`, `client_cert_key` and `verify` with a server.
    """
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"ClickHouse DSN: {error}; {_EXPECTED}") from None
    options = dict(parse_qsl(parts.query))
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ConfigurationError(f"ClickHouse DSN: unknown option {', '.join(unknown)}; there are {', '.join(_OPTIONS)}")
    database = options.pop("database", "")
    if parts.scheme == "chdb":
        path = unquote(parts.netloc + parts.path)
        if not path:
            raise ConfigurationError("ClickHouse DSN: chdb:// without a path; give a directory, as in chdb://build/clickhouse")
        return Target(database=_database_name(database), path=path)
    if parts.scheme not in _TLS or not parts.hostname:
        raise ConfigurationError(f"ClickHouse DSN: {_EXPECTED}")
    secure = _TLS[parts.scheme]
    return Target(
        database=_database_name(database or unquote(parts.path.strip("/"))),
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        secure=secure,
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        tls=tuple(sorted(options.items())),
    )


def _database_name(name: str) -> str:
    if not name:
        return DEFAULT_DATABASE
    if not name.isidentifier() or not name.isascii():
        raise ConfigurationError(f"ClickHouse DSN: database {name!r}: use letters, digits and '_', not starting with a digit")
    return name
