"""Every metric, with unit in the name and when to worry. Labels have few values, known beforehand, touched at start."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from schemas.events import REASONS

AGENTS = ("ingest", "detect", "curate", "store")
TABLES = ("windows", "window_facets", "window_totals", "mentions", "moments", "dead_letters")
_DELAYS_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)


class Metrics:
    """The metrics of one worker on one registry; tests make their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        self.registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"drumbeat_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"drumbeat_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(f"drumbeat_{name}", text, buckets=_DELAYS_S, registry=registry)

        # worry when it grows for minutes: the agent is too slow for its topic
        self.lag = gauge("source_lag_records", "Records an agent has not read yet", "agent")
        # worry at any increase: retention was shorter than an outage, those records are gone for good
        self.lost_records = counter("lost_records", "Records deleted by retention before an agent read them", "agent")
        # worry when outcome=dead is more than a few percent of the sum
        self.records = counter("ingest_records", "Raw records by what became of them", "outcome")
        self.dead_letters = counter("dead_letters", "Records that could not be decoded", "reason")
        # worry when p99 stays above 1 s while lag is 0
        self.ingest_delay = histogram("ingest_delay_seconds", "Record timestamp to acknowledged packet, of live records")
        self.packets = counter("packets", "Packets sent to detect", "kind")
        # worry when it is a large share of all events: clocks are wrong or lateness_ms is too short
        self.late_events = counter("detect_late_events", "Events that corrected a closed window", "kind")
        self.replayed_segments = counter("detect_replayed_segments", "Segments dropped because they were seen before")
        # worry when it falls behind the wall clock by minutes on live topics
        self.watermark = gauge("detect_watermark_seconds", "Watermark as Unix time", "partition")
        self.pending = gauge("detect_pending_segments", "Segments waiting for other sources", "partition")
        # worry above three times checkpoint_ms: a restart has to repeat that much
        self.checkpoint_age = gauge("checkpoint_age_seconds", "Time since the last checkpoint", "agent")
        self.checkpoint_bytes = gauge("checkpoint_bytes", "Size of the state in the last checkpoint", "agent")
        self.surges = counter("surges", "Statements about surges of single terms", "phase")
        self.moments = counter("moments", "Alerts sent, by status", "status")
        self.store_rows = counter("store_rows", "Rows that ClickHouse acknowledged", "table")
        # worry when outcome=retried keeps growing: ClickHouse is away or refuses
        self.store_batches = counter("store_batches", "Batches of rows by outcome", "outcome")
        self.store_delay = histogram("store_insert_seconds", "Time of one insert, retries included")
        self.remembered_ids = gauge("ingest_remembered_ids", "Ids in the dedup memory of this worker")
        self.brands = gauge("watchlist_brands", "Brands on the watchlist as this worker knows it")
        # what they are, and what happens at each cap: deploy/OPERATIONS.md. Worry when full=gives_way stays above 0.9 of its cap
        self.bound_used = gauge("bound_used", "How full the fullest of what has a cap is", "what", "full")
        self.bound_cap = gauge("bound_cap", "The cap", "what", "full")
        # worry at any increase
        self.bound_given_way = counter("bound_given_way", "What gave way at a cap so far: ids, segments, windows, surges", "what")
        self.up = gauge("worker_up", "1 while the worker runs")
        self._touch()

    def _touch(self) -> None:
        for agent in AGENTS:
            self.lag.labels(agent)
            self.lost_records.labels(agent)
        for outcome in ("counted", "duplicate", "filtered", "dead"):
            self.records.labels(outcome)
        for reason in REASONS:
            self.dead_letters.labels(reason)
        for kind in ("final", "provisional"):
            self.packets.labels(kind)
        for kind in ("corrected", "beside"):
            self.late_events.labels(kind)
        for agent in ("detect", "curate"):
            self.checkpoint_age.labels(agent)
            self.checkpoint_bytes.labels(agent)
        for phase in ("opened", "grown", "faded"):
            self.surges.labels(phase)
        for status in ("opened", "updated", "closed"):
            self.moments.labels(status)
        for table in TABLES:
            self.store_rows.labels(table)
        for outcome in ("written", "retried"):
            self.store_batches.labels(outcome)
