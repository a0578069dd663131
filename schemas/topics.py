"""The topics: names, partitions, retention. `drumbeat topics apply` makes them so."""

from __future__ import annotations

from dataclasses import dataclass

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""The largest record of ours: a packet of 12,000 posts with 64 long words each that nobody else uses comes to half of it."""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it should be; `partitions` 0 means: as many as the raw topic has."""

    name: str
    partitions: int
    retention_ms: int = -1
    compacted: bool = False
    max_message_bytes: int = 8 * 1024 * 1024
    about: str = ""

    def config(self) -> dict[str, str]:
        """Kafka's topic configuration."""
        common = {"max.message.bytes": str(self.max_message_bytes), "message.timestamp.type": "CreateTime"}
        if self.compacted:
            # whoever takes over reads all of it, and the segment that is written to is never compacted: so it is kept small
            return {
                **common,
                "cleanup.policy": "compact",
                "min.cleanable.dirty.ratio": "0.2",
                "segment.ms": str(HOUR_MS),
                "segment.bytes": str(32 * 1024 * 1024),
                "delete.retention.ms": str(HOUR_MS),
            }
        return {**common, "cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of all topics under one prefix, so that two pipelines share a cluster."""

    prefix: str = "social"

    def name(self, short: str) -> str:
        """The full name of a topic: `social.raw`."""
        return f"{self.prefix}.{short}"

    @property
    def raw(self) -> str:
        return self.name("raw")

    @property
    def seen(self) -> str:
        return self.name("seen")

    @property
    def partials(self) -> str:
        return self.name("partials")

    @property
    def mentions(self) -> str:
        return self.name("mentions")

    @property
    def windows(self) -> str:
        return self.name("windows")

    @property
    def candidates(self) -> str:
        return self.name("candidates")

    @property
    def moments(self) -> str:
        return self.name("moments")

    @property
    def dead_letters(self) -> str:
        return self.name("dead-letters")

    @property
    def watchlist(self) -> str:
        return self.name("watchlist")

    @property
    def checkpoints(self) -> str:
        return self.name("checkpoints")

    def specs(
        self, raw_partitions: int = 4, partials_partitions: int = 2, dedup_horizon_ms: int = 900_000, *, history: bool = False
    ) -> tuple[TopicSpec, ...]:
        """All topics as they should be; `history`: the raw topic takes posts with timestamps of long ago, so it keeps for ever."""
        return (
            TopicSpec(
                self.raw,
                raw_partitions,
                -1 if history else 7 * DAY_MS,
                about="one event a record, canonical or a platform's own JSON; key = post id",
            ),
            TopicSpec(
                self.seen,
                raw_partitions,
                max(2 * dedup_horizon_ms, DAY_MS),
                about="packed 8-byte ids of one segment; partition of the raw partition",
            ),
            TopicSpec(
                self.partials,
                partials_partitions,
                DAY_MS,
                max_message_bytes=MAX_MESSAGE_BYTES,
                about="packets; partition = hash(term)",
            ),
            TopicSpec(
                self.mentions, partials_partitions, 30 * DAY_MS, about="posts that name a tracked brand; key = platform:post id"
            ),
            TopicSpec(self.windows, partials_partitions, 7 * DAY_MS, about="closed or corrected windows, packed in columns"),
            TopicSpec(self.candidates, 1, 7 * DAY_MS, about="surges of single terms"),
            TopicSpec(self.moments, 1, 30 * DAY_MS, about="alerts: CloudEvents 1.0 JSON; key = moment id"),
            TopicSpec(self.dead_letters, 1, 14 * DAY_MS, about="raw bytes, reason, topic, partition, offset"),
            TopicSpec(self.watchlist, 1, compacted=True, about="brands; key = brand id"),
            TopicSpec(self.checkpoints, partials_partitions, compacted=True, about="state of detect and curate"),
        )
