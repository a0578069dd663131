"""What becomes of a record that cannot be decoded fits through every topic."""

from __future__ import annotations

from schemas.dead_letters import MAX_KEPT_BYTES, DeadLetter
from schemas.errors import MalformedEvent


def test_a_record_is_kept_byte_for_byte_up_to_the_cap_and_its_size_is_told() -> None:
    error = MalformedEvent("too_large", "too large")
    whole = DeadLetter.of(error, "raw", 0, 1, 2, b"x" * MAX_KEPT_BYTES)
    cut = DeadLetter.of(error, "raw", 0, 1, 2, b"x" * 10_000_000)
    assert (len(whole.payload), whole.size) == (MAX_KEPT_BYTES, MAX_KEPT_BYTES)
    assert (len(cut.payload), cut.size) == (MAX_KEPT_BYTES, 10_000_000)
    assert ("size", b"10000000") in cut.headers()
