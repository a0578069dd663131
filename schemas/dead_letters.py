"""A record that could not be decoded, kept with reason and origin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Travels as the raw bytes, unchanged, with these Kafka headers: reason, detail, topic, partition, offset, log_ms."""

    reason: str  # one of schemas.events.REASONS
    detail: str
    topic: str
    partition: int
    offset: int
    log_ms: int
    payload: bytes

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers, all text."""
        return [
            ("reason", self.reason.encode()),
            ("detail", self.detail[:500].encode()),
            ("topic", self.topic.encode()),
            ("partition", str(self.partition).encode()),
            ("offset", str(self.offset).encode()),
            ("log_ms", str(self.log_ms).encode()),
        ]
