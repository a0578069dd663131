"""The worker with small batches and frequent checkpoints, so that whoever kills it hits the middle of everything within seconds.

python -m tests.integration.impatient worker
"""

from __future__ import annotations

import sys
from functools import partial

import agents.curate
import agents.detect
import agents.worker
from agents.__main__ import main
from agents.source import Reading
from streams.alignment import AlignmentParams

CHECKPOINT_MS = 1_000
BATCH_RECORDS = 100
STALL_MS = (
    6_000_000  # streams are fed up to a hundred times faster than they happened: a stall of 60 s is as much longer in log time
)

vars(agents.detect)["AlignmentParams"] = partial(AlignmentParams, stall_ms=STALL_MS)
agents.curate.CHECKPOINT_MS = agents.detect.CHECKPOINT_MS = CHECKPOINT_MS
agents.worker.READING["ingest"] = Reading(BATCH_RECORDS)

if __name__ == "__main__":
    sys.exit(main())
