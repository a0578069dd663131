"""What was planted in the feed is told as one moment each, of its kind, whatever hashtags people give it; nothing else is told."""

from __future__ import annotations

from agents.demo_report import Sighting, match
from agents.feed import Feed
from agents.feed_scenarios import DEMO_BRANDS
from schemas.moments import Moment
from streams.pipeline import Pipeline, PipelineParams
from streams.records import Record

START_MS = 1_760_000_000_000
HISTORY_S = 660  # a little more than detect wants before it says anything
EVERY_S = 20  # events overlap: each lasts for about a minute


def run(seed: int, planted: int) -> tuple[Feed, list[Moment]]:
    """The feed after so many planted moments and one flood in the middle, and what was told."""
    feed, pipeline = Feed(seed, 40), Pipeline(PipelineParams(), DEMO_BRANDS)
    told: list[Moment] = []
    records: list[Record] = []
    for second in range(HISTORY_S + EVERY_S * planted + 60):
        number, rest = divmod(second - HISTORY_S, EVERY_S)
        if 0 <= number < planted and rest == 0:
            feed.plant(START_MS + second * 1000, organic=True)
        if second == HISTORY_S + EVERY_S * planted // 2 + 7:
            feed.plant(START_MS + second * 1000, organic=False)
        now_ms = START_MS + second * 1000
        fed = feed.step(now_ms, now_ms + 1000)
        records += [Record(feed.plan.records - len(fed) + i, one.timestamp_ms, one.value) for i, one in enumerate(fed)]
        if second % 60 == 59:  # how it is cut does not matter, but large pieces take less time
            told += pipeline.feed(records).moments
            records = []
    told += pipeline.feed(records).moments
    return feed, told + pipeline.finish().moments


def test_every_planted_event_is_one_moment_and_nothing_else_is() -> None:
    feed, told = run(seed=3, planted=4)  # with an event of two hashtags, four languages and few posts
    found = match(feed.plan.planted, [Sighting(moment.opened_ms, moment) for moment in told if moment.status == "opened"])
    assert [one.moment.why for one in found.false] == []
    assert {plan.name: len(seen) for plan, seen in found.found.items()} == {plan.name: 1 for plan in feed.plan.planted}
