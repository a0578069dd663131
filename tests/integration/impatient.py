"""The worker with small batches and frequent checkpoints, so that whoever kills it hits the middle of everything within seconds.

python -m tests.integration.impatient worker
"""

from __future__ import annotations

import sys

import agents.curate
import agents.detect
import agents.worker
from agents.__main__ import main

CHECKPOINT_MS = 1_000
BATCH_RECORDS = 100

agents.curate.CHECKPOINT_MS = agents.detect.CHECKPOINT_MS = CHECKPOINT_MS
agents.worker.MAX_RECORDS["ingest"] = BATCH_RECORDS

if __name__ == "__main__":
    sys.exit(main())
