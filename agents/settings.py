"""What differs per deployment: read once from the environment, checked as a whole, secrets masked, passed down."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agents.clickhouse_dsn import parse_dsn
from schemas.errors import ConfigurationError
from schemas.topics import Topics

PLATFORMS = ("canonical", "bluesky", "mastodon", "x", "reddit")

_TOPIC_NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,200}")  # Kafka's rule; 249 with our own endings
MIN_KEY_BYTES = 8  # that of streams.privacy, which would load polars for every command
_SOURCE_STRIDE = 10_000  # source id = position of the raw topic x this + partition


@dataclass(frozen=True, slots=True)
class RawTopic:
    """One raw topic and the shape of its records."""

    topic: str
    platform: str


@dataclass(frozen=True, slots=True)
class Settings:
    """One deployment of drumbeat. Every field is `DRUMBEAT_<NAME>` in the environment; secrets also as `..._FILE`."""

    kafka: str = "127.0.0.1:9092"  # bootstrap servers, host:port, comma-separated
    clickhouse: str = field(default="chdb://build/clickhouse", repr=False)  # chdb://PATH or clickhouse(s)://USER:PASSWORD@HOST/DB
    prefix: str = "social"  # of all topic names and consumer groups
    raw: tuple[RawTopic, ...] = ()  # TOPIC:PLATFORM, comma-separated; empty: <prefix>.raw:canonical
    listen: str = "127.0.0.1:6066"  # metrics, health and page; port 0 picks a free one
    author_key: str = field(default="drumbeat-local", repr=False)  # secret of the author hash; change it and authors become others
    kafka_security: str = "PLAINTEXT"  # PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
    kafka_mechanism: str = ""  # PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
    kafka_username: str = ""  # for SASL
    kafka_password: str = field(default="", repr=False)  # for SASL
    kafka_ca: str = ""  # PEM file; empty: the system's
    kafka_cert: str = ""  # PEM file of the client's certificate and key, for mTLS
    session_timeout_ms: int = 10_000  # how long a dead worker's partitions stay unserved
    dedup_horizon_ms: int = 900_000  # log time an id is remembered
    lateness_ms: int = 30_000  # how long after its end a window stays open
    min_support: int = 5  # events per 10 s window below which terms nobody watches are not stored
    log_format: str = "text"  # text or json
    malformed: str = "stop"  # stop or accept: what to do when nearly all of 1,000 records in a row are malformed

    @property
    def topics(self) -> Topics:
        """Names of all topics."""
        return Topics(self.prefix)

    @property
    def raw_topics(self) -> tuple[RawTopic, ...]:
        """The raw topics with their platforms, in the order that gives source ids."""
        return self.raw or (RawTopic(self.topics.raw, "canonical"),)

    def group(self, agent: str) -> str:
        """The consumer group of an agent: `social.ingest`."""
        return self.topics.name(agent)

    def source_id(self, topic: str, partition: int) -> int:
        """The number that packets and sample references use for a raw partition."""
        return next(i for i, raw in enumerate(self.raw_topics) if raw.topic == topic) * _SOURCE_STRIDE + partition

    def source_partition(self, source: int) -> tuple[str, int]:
        """Topic and partition of `source_id`."""
        return self.raw_topics[source // _SOURCE_STRIDE].topic, source % _SOURCE_STRIDE

    def kafka_options(self) -> dict[str, object]:
        """Keyword arguments that every aiokafka client takes."""
        options: dict[str, object] = {"bootstrap_servers": self.kafka, "security_protocol": self.kafka_security}
        if self.kafka_security in ("SSL", "SASL_SSL"):
            options["ssl_context"] = self._ssl_context()
        if self.kafka_security.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.kafka_mechanism,
                "sasl_plain_username": self.kafka_username,
                "sasl_plain_password": self.kafka_password,
            }
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.kafka_ca or None)
            if self.kafka_cert:
                context.load_cert_chain(self.kafka_cert)
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(filter(None, (self.kafka_ca, self.kafka_cert)))
            raise ConfigurationError(f"DRUMBEAT_KAFKA_CA or DRUMBEAT_KAFKA_CERT: {files}: {error.strerror or error}") from error
        return context


_SECRETS = ("clickhouse", "author_key", "kafka_password")
_INTEGERS = ("session_timeout_ms", "dedup_horizon_ms", "lateness_ms", "min_support")
_CHOICES = {
    "kafka_security": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "kafka_mechanism": ("", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
    "log_format": ("text", "json"),
    "malformed": ("stop", "accept"),
}


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from `DRUMBEAT_*`; raises ConfigurationError naming every problem at once, and no secret."""
    values: dict[str, object] = {}
    problems: list[str] = []
    for variable in sorted(key for key in environ if key.startswith("DRUMBEAT_")):
        name = variable.removeprefix("DRUMBEAT_").lower()
        secret = name.removesuffix("_file")
        if name.endswith("_file") and secret in _SECRETS:
            if f"DRUMBEAT_{secret.upper()}" in environ:
                problems.append(f"{variable}: DRUMBEAT_{secret.upper()} is set too; keep one of them")
            _read(variable, secret, _from_file(variable, environ[variable], problems), values, problems)
        elif name in Settings.__dataclass_fields__:
            _read(variable, name, environ[variable].strip(), values, problems)
        else:
            problems.append(f"{variable}: no such setting")
    if not problems:
        settings = Settings(**values)  # type: ignore[arg-type]  # every value was checked by name above
        problems = list(_contradictions(settings))
        if not problems:
            return settings
    raise ConfigurationError("; ".join(problems))


def _from_file(variable: str, path: str, problems: list[str]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        problems.append(f"{variable}: cannot read {path!r}: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{variable}: {path!r} is not UTF-8 text")
    return "-"  # one problem per file is enough


def _read(variable: str, name: str, text: str, values: dict[str, object], problems: list[str]) -> None:
    if not text and Settings.__dataclass_fields__[name].default not in ("", ()):
        problems.append(f"{variable}: is empty; unset it or give a value")
    elif name in _INTEGERS:
        if text.isdecimal() and len(text) < 16 and int(text) > 0:
            values[name] = int(text)
        else:
            problems.append(f"{variable}: expected a whole number above 0, got {text[:40]!r}")
    elif name in _CHOICES and text not in _CHOICES[name]:
        problems.append(f"{variable}: expected one of {', '.join(filter(None, _CHOICES[name]))}, got {text!r}")
    elif name == "raw":
        values[name] = _raw_topics(variable, text, problems)
    else:
        values[name] = text


def _contradictions(settings: Settings) -> Iterator[str]:
    """What no single setting shows."""
    for server in settings.kafka.split(","):
        if not _is_address(server.strip(), lowest_port=1):
            yield f"DRUMBEAT_KAFKA: expected host:port, comma-separated, got {server!r}"
    if not _is_address(settings.listen, lowest_port=0):
        yield f"DRUMBEAT_LISTEN: expected host:port, got {settings.listen!r}"
    if not _TOPIC_NAME.fullmatch(settings.prefix):
        yield f"DRUMBEAT_PREFIX: expected letters, digits, '.', '_' and '-', at most 200, got {settings.prefix!r}"
    try:
        parse_dsn(settings.clickhouse)
    except ConfigurationError as error:
        yield f"DRUMBEAT_CLICKHOUSE: {error}"
    if len(settings.author_key.encode()) < MIN_KEY_BYTES:
        yield f"DRUMBEAT_AUTHOR_KEY: use {MIN_KEY_BYTES} bytes or more, or authors could be guessed"
    login = (settings.kafka_mechanism, settings.kafka_username, settings.kafka_password)
    if settings.kafka_security.startswith("SASL") and not all(login):
        needs = "DRUMBEAT_KAFKA_MECHANISM, DRUMBEAT_KAFKA_USERNAME and DRUMBEAT_KAFKA_PASSWORD (or DRUMBEAT_KAFKA_PASSWORD_FILE)"
        yield f"DRUMBEAT_KAFKA_SECURITY={settings.kafka_security} needs {needs}"


def _is_address(text: str, lowest_port: int) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and len(port) <= 5 and lowest_port <= int(port) <= 65_535


def _raw_topics(variable: str, text: str, problems: list[str]) -> tuple[RawTopic, ...]:
    topics: list[RawTopic] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        topic, _, platform = item.rpartition(":")
        if platform not in PLATFORMS or not _TOPIC_NAME.fullmatch(topic):
            problems.append(f"{variable}: {item!r}: expected TOPIC:PLATFORM with a platform of {', '.join(PLATFORMS)}")
        if any(topic == other.topic for other in topics):
            problems.append(f"{variable}: {topic!r} twice; a topic has one platform")
        topics.append(RawTopic(topic, platform))
    return tuple(topics)
