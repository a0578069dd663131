"""A record that could not be decoded, kept with reason and origin."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.errors import MalformedEvent

MAX_KEPT_BYTES = 1_000_000  # all of whatever is small enough to be decoded; a raw topic may take records that no other does


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Travels as the raw bytes with these Kafka headers: reason, detail, topic, partition, offset, log_ms, size.

    The bytes are unchanged up to MAX_KEPT_BYTES; of a larger record the first so many are kept: the raw topic has the rest.
    """

    reason: str  # one of schemas.events.REASONS
    detail: str
    topic: str
    partition: int
    offset: int
    log_ms: int
    payload: bytes
    size: int  # of the record, in bytes

    @classmethod
    def of(cls, error: MalformedEvent, topic: str, partition: int, offset: int, log_ms: int, record: bytes) -> DeadLetter:
        """The dead letter that a record becomes; a function of the record, so making it twice is harmless."""
        return cls(error.reason, error.detail, topic, partition, offset, log_ms, record[:MAX_KEPT_BYTES], len(record))

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers, all text."""
        return [
            ("reason", self.reason.encode()),
            ("detail", self.detail[:500].encode()),
            ("topic", self.topic.encode()),
            ("partition", str(self.partition).encode()),
            ("offset", str(self.offset).encode()),
            ("log_ms", str(self.log_ms).encode()),
            ("size", str(self.size).encode()),
        ]
