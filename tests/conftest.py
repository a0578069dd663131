"""What several test files need: an embedded ClickHouse with the schema applied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from agents.clickhouse import ClickHouse

settings.register_profile("drumbeat", deadline=None)  # how long an example takes is the machine's business
settings.load_profile("drumbeat")


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    """An empty database of its own. One engine path is open per process, so a test that needs another path closes this first."""
    pytest.importorskip("chdb", reason="the embedded ClickHouse is not installed")
    database = ClickHouse.connect(f"chdb://{tmp_path}/clickhouse")
    database.apply_migrations()
    yield database
    database.close()
