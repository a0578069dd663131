"""The parameters of the model: small enough that every limit is reached within a few dozen records."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.watchlist import Brand
from streams.alignment import AlignmentParams
from streams.baseline import BaselineParams
from streams.brands import compile_watchlist
from streams.curate import CurateParams
from streams.dedup import DedupParams
from streams.detect import DetectParams
from streams.segment_table import IngestParams
from streams.segments import SegmentParams
from streams.surges import SurgeParams
from streams.windows import WindowParams

BASE_MS = 1_700_000_000_000
FAR_MS = 4_070_908_800_000  # 2099
NOW_MS = BASE_MS + 10**9  # the wall clock: later than all that is to be believed
BRANDS = (Brand(id="acme"),)
WATCHLIST = compile_watchlist(BRANDS)
SEGMENTS = SegmentParams(segment_records=7, max_jump_ms=600_000, confirm_records=3)
DEDUP = DedupParams(horizon_ms=20_000)
CURATE = CurateParams(
    min_score=1.0,
    lone_score=1.0,
    update_ms=2_000,
    growth=1.1,
    severity_step=1,
    sentiment_turn=0.1,
    cooldown_ms=15_000,
    quiet_ms=300_000,
)
SURGES = SurgeParams(
    baseline=BaselineParams(settle_ms=0),
    score_watched=1.0,
    score=1.0,
    min_ratio=1.2,
    support_watched=(2, 2, 2, 2),
    support=(3, 3, 3, 3),
    support_root=0.01,
    authors_watched=1,
    authors=2,
    warmup_ms=1_000,
    rewarm_ms=1_000,
    min_bins=0.1,
    exit_score=0.5,
    exit_ratio=1.1,
    fade_scales=0.1,
    fade_min_ms=2_000,
    fade_max_ms=20_000,
    cooldown_ms=5_000,
    grown_ratio=1.2,
    refresh_ms=2_000,
    warm_score=0.5,
    warm_events=2,
    max_tracks=6,
    max_terms=16,
    hashed_cells=64,
)
FOR_EVER_MS = 10**15


@dataclass(frozen=True, slots=True)
class Setting:
    """How large the deployment is, and whom detect waits for."""

    sources: int = 2
    partitions: int = 2
    stall_ms: int = 30_000
    max_pending: int = 200_000
    max_pending_rows: int = 10**6
    max_open_rows: int = 10**6
    max_retained_rows: int = 10**6
    max_ids: int = 10**6

    @property
    def ingest(self) -> IngestParams:
        """Parameters of every ingest owner."""
        key = b"a key for the tests"
        dedup = replace(DEDUP, max_ids=self.max_ids)
        return IngestParams(sources=self.sources, partitions=self.partitions, author_key=key, segments=SEGMENTS, dedup=dedup)

    def detect(self, partition: int) -> DetectParams:
        """Parameters of the owners of one detect partition."""
        windows = WindowParams(
            partition,
            self.partitions,
            lateness_ms=5_000,
            retain_ms=40_000,
            min_support=3,
            max_open_rows=self.max_open_rows,
            max_retained_rows=self.max_retained_rows,
        )
        return DetectParams(windows, AlignmentParams(self.stall_ms, self.max_pending, self.max_pending_rows), SURGES)
