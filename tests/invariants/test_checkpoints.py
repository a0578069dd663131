"""Checkpoints torn at every message, by several writers at once, compacted at any time: there is always a whole one.

The state is a function of the offset, as that of detect is: whoever writes at an offset writes the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from unittest import mock

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from agents import checkpoints
from agents.checkpoints import Checkpoints, Manifest, Shelf
from tests.invariants.broker import Compacted, Message, Pair, Writer
from tests.invariants.mutants import mutate
from tests.invariants.strategies import TIMEOUT_S, hunt, trials

OWNER = "detect-0"
STEPS = 40
_which = st.sampled_from([0, 0, 0, 1, 2])  # lives ago


def sections_at(offset: int) -> dict[str, bytes]:
    """A state; some of it lasts, some comes again."""
    return {"fast": b"%08d" % offset, "slow": b"%08d" % (offset // 4), "again": bytes([offset % 3]) * 9, "empty": b""}


@dataclass
class Life:
    """One life of the owner, perhaps one that should be over."""

    writer: Writer
    offset: int
    outbox: list[Message] = field(default_factory=list)
    whole: int = -1  # offset of its newest complete checkpoint


class TornCheckpoints(RuleBasedStateMachine):
    """Lives of one owner, the newest last."""

    def __init__(self) -> None:
        super().__init__()
        self.small = mock.patch.object(checkpoints, "CHUNK_BYTES", 4)
        self.small.start()
        self.topic = Compacted()
        self.lives: list[Life] = []
        self.ever = False  # whether there was a complete checkpoint

    @rule(survives=st.booleans())
    def begin(self, survives: bool) -> None:
        kept = self.lives[-3:] if survives else self.lives[-3:-1]
        writer = Writer(self.topic, OWNER)
        self.lives = [*kept, Life(writer, self.load(writer))]

    @rule(which=_which, further=st.integers(0, 5))
    def save(self, which: int, further: int) -> None:
        for life in self.lives[-1 - which : len(self.lives) - which]:
            if not life.outbox:  # the agent waits for the one before
                life.offset += further
                life.outbox = life.writer.save(life.offset, sections_at(life.offset))

    @rule(which=_which, count=st.sampled_from([1, 2, 4, 7, 99, 99]))
    def acknowledge(self, which: int, count: int) -> None:
        for life in self.lives[-1 - which : len(self.lives) - which]:
            for message in life.outbox[:count]:
                message()
                key, value = self.topic.records[-1]
                if b"|manifest|" in key and value is not None:
                    life.whole, self.ever = msgspec.msgpack.decode(value, type=Manifest).offset, True
            del life.outbox[:count]

    @rule(clean=st.integers(0, 40))
    def compact(self, clean: int) -> None:
        self.topic.compact(clean)

    def load(self, writer: Writer) -> int:
        found = writer.load()
        whole = [life.whole for life in self.lives if life.whole >= 0]
        assert found is not None or not self.ever, "no complete checkpoint, though there was one"
        if found is None:
            return 0
        assert found.sections == sections_at(found.offset), "a checkpoint of pieces"
        assert found.offset >= (whole[-1] if whole else 0), "the newest writer's checkpoint is gone"
        return found.offset

    def teardown(self) -> None:
        try:
            self.load(Writer(self.topic, OWNER))
        finally:
            self.small.stop()


@pytest.mark.timeout(TIMEOUT_S)
def test_whatever_is_torn_a_whole_checkpoint_is_there() -> None:
    run_state_machine_as_test(TornCheckpoints, settings=trials(60, stateful_step_count=STEPS))


def sleep_and_wake() -> None:
    """A sleeper goes on after its successor has removed what it found, and names some of it in a newer manifest."""
    world = TornCheckpoints()
    world.begin(survives=True)
    world.save(which=0, further=1)
    world.acknowledge(which=0, count=99)
    world.begin(survives=True)
    world.save(which=0, further=1)
    world.acknowledge(which=0, count=99)
    world.save(which=1, further=5)
    world.acknowledge(which=1, count=99)
    world.teardown()


def test_a_sleeper_cannot_put_its_torn_checkpoint_before_the_whole_one() -> None:
    sleep_and_wake()


def one_writer_for_all(patch: pytest.MonkeyPatch) -> None:
    init = Checkpoints.__init__

    def shared(self: Checkpoints, *args: object) -> None:
        init(self, *args)  # type: ignore[arg-type]  # passed on
        self.writer = "the same"

    patch.setattr(Checkpoints, "__init__", shared)


def tombstones_before_the_manifest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Writer, "in_order", lambda _, sent: sorted(sent, key=lambda pair: pair[1] is not None))


def manifest_before_chunks_and_nobody_looks(patch: pytest.MonkeyPatch) -> None:
    def rank(pair: Pair) -> tuple[bool, bool]:
        return pair[1] is None, b"|manifest|" not in pair[0]

    patch.setattr(Writer, "in_order", lambda _, sent: sorted(sent, key=rank))
    mutate(patch, Shelf, "newest", {"if not all(": "if False and not all("})


def incomplete_ones_are_loaded(patch: pytest.MonkeyPatch) -> None:
    """A sleeper's manifest may name chunks that its successor has removed."""
    mutate(patch, Shelf, "newest", {"if not all(": "if False and not all("})


def the_oldest_is_taken(patch: pytest.MonkeyPatch) -> None:
    mutate(patch, Shelf, "newest", {"manifest.offset > found[0].offset": "manifest.offset < found[0].offset"})


def save_twice() -> None:
    world = TornCheckpoints()
    world.begin(survives=True)
    for _ in range(2):
        world.save(which=0, further=1)
        world.acknowledge(which=0, count=99)
    world.teardown()


def test_of_two_whole_checkpoints_the_newer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    save_twice()
    the_oldest_is_taken(monkeypatch)
    with pytest.raises(AssertionError, match="the newest writer's checkpoint is gone"):
        save_twice()


def test_that_a_sleeper_tore_its_checkpoint_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    incomplete_ones_are_loaded(monkeypatch)
    with pytest.raises(KeyError):
        sleep_and_wake()


@pytest.mark.parametrize(
    "broken",
    [
        one_writer_for_all,
        tombstones_before_the_manifest,
        manifest_before_chunks_and_nobody_looks,
    ],
)
def test_a_broken_protocol_is_noticed(broken: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(broken)
    broken(monkeypatch)
    with pytest.raises((AssertionError, KeyError)):
        run_state_machine_as_test(TornCheckpoints, settings=hunt(400, stateful_step_count=STEPS))
