"""The impatient worker is one: what is changed in it has to be what the agents read."""

from __future__ import annotations

import subprocess
import sys

from tests.integration.worker import ROOT

CHECK = """
import tests.integration.impatient as impatient
from prometheus_client import CollectorRegistry
from agents import curate, detect, worker
from agents.metrics import Metrics
from agents.settings import Settings
from streams.recent_tables import RecentTables
for tables in (None, RecentTables(1)):
    assert detect.DetectHandler(Settings(), None, Metrics(CollectorRegistry()), tables).alignment.stall_ms == impatient.STALL_MS
owned = detect._Owned(None, None, None, 0, 0, 0.0)
assert owned.rest_s * 1000 == detect.rest_after_checkpoint(0.0) * 1000 == curate.CHECKPOINT_MS == impatient.CHECKPOINT_MS
assert worker.READING["ingest"].max_records == impatient.BATCH_RECORDS
"""


def test_the_impatient_worker_waits_for_stalled_sources_and_writes_checkpoints_every_second() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
