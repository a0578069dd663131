"""The state machine: producers, owners, crashes, zombies, reassignments and a forgetful store in every order.

Rules name an owner by its place from the end: 0 is the present one, the others are zombies. Between any two messages anything
may happen. What holds at any time is checked after every step, the invariants at the end (tests.invariants.checks).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.invariants.checks import EVERY_INVARIANT, check, covers_commits, equals_an_undisturbed_run
from tests.invariants.deployment import Deployment
from tests.invariants.evidence import no_gap
from tests.invariants.raw_log import Draft
from tests.invariants.setting import Setting
from tests.invariants.strategies import by_clock, by_log, crowded, drafts, idle_ms, messages, some

_age = st.integers(0, 2)
T = TypeVar("T")


class Faults(RuleBasedStateMachine):
    """A deployment under faults; what owners know of the wall clock is used by those of `ByClock` only."""

    settings_of: ClassVar[st.SearchStrategy[Setting]]

    deployment: Deployment | None = None

    @initialize(data=st.data(), first=drafts)
    def begin(self, data: st.DataObject, first: list[Draft]) -> None:
        self.deployment = Deployment.of(data.draw(self.settings_of))
        self.deployment.append(0, first)

    @property
    def world(self) -> Deployment:
        assert self.deployment is not None
        return self.deployment

    @rule(source=_age, drafts=drafts)
    def produce(self, source: int, drafts: list[Draft]) -> None:
        self.world.append(source % self.world.setting.sources, drafts)

    @rule(source=_age, age=_age, count=some, acked=messages)
    def read(self, source: int, age: int, count: int, acked: int) -> None:
        owner = _pick(self.world.ingest, source, age)
        owner.read(count)
        owner.deliver(acked)

    @rule(source=_age, age=_age)
    def resend(self, source: int, age: int) -> None:
        _pick(self.world.ingest, source, age).resend()

    @rule(source=_age, age=_age, acked=messages)
    def provisional(self, source: int, age: int, acked: int) -> None:
        self.tell(source, age, acked, 0)

    @rule(partition=_age, age=_age, count=some, acked=messages)
    def detect(self, partition: int, age: int, count: int, acked: int) -> None:
        owner = _pick(self.world.detect, partition, age)
        with no_gap():
            owner.take(count)
        owner.deliver(acked)

    @rule(partition=_age, age=_age, written=messages, crash=st.booleans())
    def save_detect(self, partition: int, age: int, written: int, crash: bool) -> None:
        owner = _pick(self.world.detect, partition, age)
        owner.save()
        owner.deliver(written)
        if crash:
            self.world.replace_detect(owner.number, survives=False)

    @rule(age=_age, count=some, acked=messages)
    def curate(self, age: int, count: int, acked: int) -> None:
        owner = _pick([self.world.curate], 0, age)
        with no_gap():
            owner.take(count)
        owner.deliver(acked)

    @rule(age=_age, written=messages, crash=st.booleans())
    def save_curate(self, age: int, written: int, crash: bool) -> None:
        owner = _pick([self.world.curate], 0, age)
        owner.save()
        owner.deliver(written)
        if crash:
            self.world.replace_curate(survives=False)

    @rule(which=st.sampled_from(["ingest", "ingest", "detect", "curate"]), number=_age, survives=st.booleans())
    def reassign(self, which: str, number: int, survives: bool) -> None:
        setting = self.world.setting
        if which == "ingest":
            self.world.replace_ingest(number % setting.sources, survives=survives)
        elif which == "detect":
            self.world.replace_detect(number % setting.partitions, survives=survives)
        else:
            self.world.replace_curate(survives=survives)

    @rule(partition=_age, first=st.integers(0, 5), count=some)
    def store(self, partition: int, first: int, count: int) -> None:
        self.world.insert(partition % self.world.setting.partitions, first, count)

    @rule(clean=st.integers(0, 60))
    def compact(self, clean: int) -> None:
        self.world.broker.checkpoints.compact(clean)

    @rule()
    def flow(self) -> None:
        with no_gap():
            self.world.flow()

    @invariant()
    def commits_are_covered(self) -> None:
        if self.deployment is not None:
            covers_commits(self.deployment)

    def tell(self, source: int, age: int, acked: int, idle_ms: int) -> None:
        owner = _pick(self.world.ingest, source, age)
        owner.tell(idle_ms)
        owner.deliver(acked)

    def teardown(self) -> None:
        if self.deployment is None:
            return
        with no_gap():
            self.deployment.finish()
        self.judge(self.deployment)

    def judge(self, deployment: Deployment) -> None:
        check(deployment)


class ByLog(Faults):
    """Nobody says that a source is idle before the end, and nobody is given up on: the raw logs alone decide."""

    settings_of = by_log

    def judge(self, deployment: Deployment) -> None:
        equals_an_undisturbed_run(check(deployment))


class Crowded(ByLog):
    """More ids than may be remembered: what is forgotten depends on the log alone, though a plain recount remembers it."""

    settings_of = crowded

    def judge(self, deployment: Deployment) -> None:
        equals_an_undisturbed_run(check(deployment, EVERY_INVARIANT - {2, 5}))


class ByClock(Faults):
    """Owners call their source idle when they like, zombies too; slow sources are given up on, and what waits is let go."""

    settings_of = by_clock

    @rule(source=_age, age=_age, idle=idle_ms, acked=messages)
    def idle(self, source: int, age: int, idle: int, acked: int) -> None:
        self.tell(source, age, acked, idle)


def _pick(owners: Sequence[Sequence[T]], number: int, age: int) -> T:
    of_partition = owners[number % len(owners)]
    return of_partition[-1 - age % len(of_partition)]
