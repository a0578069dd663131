"""Workers with one mechanism broken: `python -m tests.faults.sabotage NAME worker`. The suite must notice every one of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from agents.__main__ import main
from agents.checkpoints import Checkpoints
from agents.ingest import IngestHandler
from agents.outbox import Outbox, Then
from agents.store import StoreHandler
from streams import alignment
from tests.invariants.mutants import mutate

Patch = pytest.MonkeyPatch


def replays_count(patch: Patch) -> None:
    """Detect takes segments that it has seen."""
    mutate(
        patch, alignment, "_final", {"if segment.start < source.next:": "if False:", "if segment.start > source.next:": "if False:"}
    )


def commit_first(patch: Patch) -> None:
    """Ingest commits what is not acknowledged, and then takes its time."""
    post = Outbox.post

    async def hasty(self: Outbox, messages: Sequence[asyncio.Future[Any]], then: Then | None = None) -> None:
        if then is not None:
            await then()
        await post(self, messages)

    async def idle(self: Outbox, topic: str, value: bytes | None, **options: Any) -> asyncio.Future[Any]:
        async def later() -> Any:
            await asyncio.sleep(1.0)
            return await self.producer.send_and_wait(topic, value, **{**options, "headers": list(options.get("headers", ()))})

        return asyncio.ensure_future(later())

    patch.setattr(Outbox, "post", hasty)
    patch.setattr(Outbox, "send", idle)


def no_dedup_memory(patch: Patch) -> None:
    """A takeover forgets the ids of before."""

    async def nothing(self: IngestHandler, tp: object, committed: int) -> list[Any]:
        return []

    patch.setattr(IngestHandler, "_sightings", nothing)


def store_commits_first(patch: Patch) -> None:
    """Store commits offsets before the rows are in ClickHouse."""
    flush = StoreHandler._flush

    async def hasty(self: StoreHandler, *epoch: Any) -> None:
        await self.source.commit(self._ends)
        await asyncio.sleep(1.0)
        await flush(self, *epoch)

    patch.setattr(StoreHandler, "_flush", hasty)


def checkpoint_ahead(patch: Patch) -> None:
    """A checkpoint stands for an offset behind which its state is not."""
    save = Checkpoints.save

    async def ahead(self: Checkpoints, offset: int, sections: Mapping[str, bytes]) -> int:
        kept = getattr(self, "before", sections)
        self.before = sections  # type: ignore[attr-defined]  # the state of the last time, with the offset of this one
        return await save(self, offset, kept)

    patch.setattr(Checkpoints, "save", ahead)


class Sabotage(NamedTuple):
    """What is broken, and a row that must fail because of it."""

    patch: Callable[[Patch], None]
    row: str


SABOTAGES = {
    "replays-count": Sabotage(replays_count, "sleepers"),  # who was killed has seldom sent what it had not committed; who slept has
    "commit-first": Sabotage(commit_first, "kill-9"),
    "no-dedup-memory": Sabotage(no_dedup_memory, "twice"),
    "store-commits-first": Sabotage(store_commits_first, "kill-9"),
    "checkpoint-ahead": Sabotage(checkpoint_ahead, "kill-9"),
}


if __name__ == "__main__":
    import tests.integration.impatient  # noqa: F401 - imported for what it does

    name = sys.argv.pop(1)
    SABOTAGES[name].patch(pytest.MonkeyPatch())
    sys.exit(main())
