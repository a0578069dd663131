"""What the moments topic holds and a life that reads the log again has not made again: each (moment id, sequence) has one body.

As a rule the same log makes the same statements, and what is there is not sent again. Where it does not, because the watchlist
changed or posts cannot be read any more, what was told counts: a moment goes on from the last number that was told of it, with its
end told once; one that this life does not know ends at once. Bounded by MAX_TOLD numbers and the newest body of each moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

from schemas.moments import Moment, decode_moment, encode_moment
from streams.curate_state import CurateState

MAX_TOLD = 100_000


class _Entry(NamedTuple):
    offset: int
    at_ms: int
    body: int  # hash


class Told:
    """Owned by the caller; filled at start from the topic, empty once the log is read up to where the life before was."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, int], _Entry] = {}
        self.newest: dict[str, bytes] = {}  # by moment id
        self.forgotten = 0  # that did not fit

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def first_offset(self) -> int | None:
        """Of the oldest statement that was not made again: a checkpoint must not say that it was."""
        return min((entry.offset for entry in self.entries.values()), default=None)

    def add(self, offset: int, data: bytes, state: CurateState) -> None:
        """One record of the topic, in order, unless the state knows of it; of its own tick it may not, as a tick may come twice."""
        moment = decode_moment(data)
        if moment.updated_ms < state.tick_ms:
            return
        entry = _Entry(offset, moment.updated_ms, xxh3_64_intdigest(data))
        if self.entries.setdefault((moment.moment_id, moment.sequence), entry) is entry:
            self.newest[moment.moment_id] = data
        if len(self.entries) > MAX_TOLD:
            del self.entries[next(iter(self.entries))]
            self.forgotten += 1

    def settle(self, state: CurateState, moments: Sequence[Moment]) -> list[Moment]:
        """Of the moments that `curate` returned for a tick, and of what was told up to it, all that is still to be sent."""
        to_send: list[Moment] = []
        for moment in moments:
            entry = self.entries.pop((moment.moment_id, moment.sequence), None)
            if entry is None:
                to_send.append(moment)
            elif entry.body != xxh3_64_intdigest(encode_moment(moment)):
                to_send += self._go_on(state, moment.moment_id, moment)
        for moment_id in sorted({key[0] for key, entry in self.entries.items() if entry.at_ms < state.tick_ms}):
            to_send += self._go_on(state, moment_id, None)
        if not self.entries:
            self.newest.clear()
        return to_send

    def _go_on(self, state: CurateState, moment_id: str, made: Moment | None) -> list[Moment]:
        """From the last that was told of the moment, whatever was made instead; its end if nothing else can tell it."""
        self.entries = {key: entry for key, entry in self.entries.items() if key[0] != moment_id}
        last, still_open = decode_moment(self.newest[moment_id]), state.moments.get(moment_id)
        if still_open is not None:
            if made is None and still_open.last is not None and still_open.last.sequence >= last.sequence:
                return []
            over = last.status == "closed"
            still_open.last, still_open.held = None if over else last, False
            still_open.silent |= over
        elif last.status != "closed":
            return [_closing(last, made, state.tick_ms)]
        return []


def _closing(last: Moment, made: Moment | None, tick_ms: int) -> Moment:
    if made is not None:
        return msgspec.structs.replace(made, sequence=last.sequence + 1)
    return msgspec.structs.replace(
        last,
        sequence=last.sequence + 1,
        status="closed",
        updated_ms=tick_ms,
        closed_ms=tick_ms,
        why=f"No longer followed, as the watchlist changed; last told: {last.why}",
    )
