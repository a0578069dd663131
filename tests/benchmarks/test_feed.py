"""The events of the benchmarks are what they claim to be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.events import Event, decode_event
from tests.benchmarks.corpus import RARE_POSTS, RECORDINGS, Corpus, invent_posts, load_corpus, recorded_posts, tail_word
from tests.benchmarks.feed import DUPLICATE_SHARE, PARTITIONS, TAIL_MS, make_feed
from tests.benchmarks.recount import Recount
from tests.benchmarks.statistics import measure, stored_statistics

START_MS = 1_700_000_000_000
NOWHERE = Path("/nowhere")


@pytest.fixture(scope="module")
def invented() -> Corpus:
    return load_corpus(NOWHERE)


def test_same_seed_same_events(invented: Corpus) -> None:
    first, again, other = (make_feed(invented, 500, START_MS, seed=seed) for seed in (1, 1, 2))
    assert first.events == again.events != other.events


def test_every_event_decodes_and_none_is_ahead_of_the_log(invented: Corpus) -> None:
    feed = make_feed(invented, 2_000, START_MS)
    for record in [*feed.events, *feed.tail]:
        event = decode_event(record.value)
        assert isinstance(event, Event)
        assert event.post_id.encode() == record.key
        assert event.created_ms is not None
        assert event.created_ms <= record.timestamp_ms


def test_copies_share_a_partition_and_are_as_many_as_said(invented: Corpus) -> None:
    feed = make_feed(invented, 20_000, START_MS)
    partitions: dict[bytes, set[int]] = {}
    for record in feed.events:
        partitions.setdefault(record.key, set()).add(record.partition)
    assert {len(where) for where in partitions.values()} == {1}
    assert 1 - len(partitions) / len(feed.events) == pytest.approx(DUPLICATE_SHARE, rel=0.2)
    assert len(Recount(feed).posts) == len(partitions)


def test_the_tail_closes_what_is_before_it(invented: Corpus) -> None:
    feed = make_feed(invented, 1_000, START_MS)
    assert Counter(record.partition for record in feed.tail).keys() == set(range(PARTITIONS))
    assert min(record.timestamp_ms for record in feed.tail) >= feed.end_ms + TAIL_MS - 1


def test_texts_come_back_but_their_rare_words_do_not(invented: Corpus) -> None:
    few = replace(invented, shapes=invented.shapes[:3_000])
    feed = make_feed(few, 2 * len(few.shapes), START_MS)
    cells = Recount(feed).plain_cells.group_by("term").sum()
    once = cells.filter(cells["events"] == 1).height
    assert once > 0.4 * cells.height  # of the words of recorded posts 60 to 70 % occur once


def test_words_of_the_tail_differ() -> None:
    assert len({tail_word(rank) for rank in range(200_000, 300_000)}) == 100_000


def test_invented_posts_have_the_statistics_of_the_recorded_ones() -> None:
    kept = stored_statistics()
    made = measure(list(invent_posts(kept, 5_000, seed=3)), RARE_POSTS)
    for name in ("with_hashtag", "with_mention", "with_link", "not_ascii", "reposts", "repeated_texts"):
        assert getattr(made, name) == pytest.approx(getattr(kept, name), abs=0.05), name
    assert made.lengths[10] == pytest.approx(kept.lengths[10], rel=0.35)


def test_the_kept_statistics_are_those_of_the_recordings() -> None:
    posts = list(recorded_posts(RECORDINGS))
    if not posts:
        pytest.skip(f"no recorded posts in {RECORDINGS}")
    assert measure(posts, RARE_POSTS) == stored_statistics()
