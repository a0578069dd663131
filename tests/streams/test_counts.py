"""Counting equals a plain loop over the posts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from schemas import frames
from streams.brands import BRANDS
from streams.counts import POSTS, count_facets, count_terms, event_times
from streams.partition import EVERYWHERE, owners_of, partition_of, split
from streams.samples import hashes, places, references
from streams.terms import PostTerms, find_terms, post_terms
from streams.text import read_texts

KINDS = ["post", "quote", "reply", "repost"]
Post = tuple[int, int, str, int | None, int]


def posts() -> st.SearchStrategy[list[Post]]:
    one = st.tuples(
        st.integers(0, 2),
        st.integers(0, 40_000),
        st.sampled_from(KINDS),
        st.one_of(st.none(), st.integers(0, 90)),
        st.integers(0, 3),
    )
    return st.lists(one, max_size=60)


def tables(drawn: list[Post]) -> tuple[pl.DataFrame, PostTerms]:
    rows = [
        {
            "segment": seg,
            "source": 3,
            "event_ms": ms,
            "kind": kind,
            "platform": "x",
            "community": "",
            "lang": "en",
            "author_hash": author,
        }
        | {"followers": 10, "sentiment_milli": -5 if term else None, "offset": i}
        for i, (seg, ms, kind, author, term) in enumerate(drawn)
    ]
    brands = pl.DataFrame({"row": range(len(drawn)), "brand": [f"b{term}" for *_, term in drawn]}, schema=BRANDS)
    return pl.DataFrame(rows, schema=POSTS), post_terms(
        find_terms(read_texts(pl.Series([""] * len(drawn), dtype=pl.String)), 64), brands, 64
    )


@given(posts())
def test_rows_equal_a_loop_over_the_posts(drawn: list[Post]) -> None:
    found = count_terms(*tables(drawn)).rows
    events: Counter[tuple[int, int, str]] = Counter()
    authors: dict[tuple[int, int, str], set[int]] = {}
    for segment, ms, _, author, term in drawn:
        for name in (f"brand:b{term}", EVERYWHERE):
            key = segment, ms // 10_000 * 10_000, name
            events[key] += 1
            authors.setdefault(key, set()).update([] if author is None else [author])
    keys = found.select("segment", "window_start_ms", "term").rows()
    assert dict(zip(keys, found["events"], strict=True)) == dict(events)
    assert dict(zip(keys, map(list, found["authors"]), strict=True)) == {
        key: sorted(known)[: frames.SKETCH_SIZE] for key, known in authors.items()
    }
    assert keys == sorted(keys)
    kinds = found["originals"] + found["replies"] + found["reposts"]
    assert kinds.to_list() == found["events"].to_list()


@given(posts())
def test_samples_are_the_posts_with_the_smallest_hashes(drawn: list[Post]) -> None:
    found = count_terms(*tables(drawn)).rows
    for row in found.iter_rows(named=True):
        refs = references(row["samples"])
        assert list(refs) == sorted(refs)
        assert len(refs) == min(row["events"], frames.SAMPLES_PER_ROW)
        assert {ref.partition for ref in refs} == {3}
        named = {i for i, (_, ms, _, _, term) in enumerate(drawn) if row["term"] in (EVERYWHERE, f"brand:b{term}")}
        assert {ref.offset for ref in refs} <= named


def test_a_sample_is_found_again_where_it_lies_and_its_hash_is_the_same_in_columns() -> None:
    offsets = np.array([0, 1, 2**48 - 1, 123_456_789_012])
    where = places(65_535, offsets)
    refs = references(where.tolist())
    assert [(ref.partition, ref.offset) for ref in refs] == [(65_535, offset) for offset in offsets.tolist()]
    assert [ref.place_hash for ref in refs] == hashes(where).tolist()
    assert len({ref.place_hash % 1_000 for ref in refs}) == len(refs)


@given(posts())
def test_facets_of_a_watched_term_add_up_to_its_events(drawn: list[Post]) -> None:
    table, terms = tables(drawn)
    facets = count_facets(table, terms).rows.filter(pl.col("facet") == "platform:x")
    assert facets["events"].to_list() == count_terms(table, terms).rows["events"].to_list()


@given(posts(), st.integers(1, 5))
def test_each_term_goes_to_one_partition_and_the_total_to_all(drawn: list[Post], partitions: int) -> None:
    table, terms = tables(drawn)
    rows, codes = count_terms(table, terms)
    owners = owners_of(terms.vocabulary, partitions)
    parts = [rows[places] for places in split(owners[codes], partitions)]
    assert len(parts) == partitions
    total = rows.filter(pl.col("term") == EVERYWHERE)
    for number, part in enumerate(parts):
        assert part.filter(pl.col("term") == EVERYWHERE).equals(total)
        assert {partition_of(term, partitions) for term in part["term"] if term != EVERYWHERE} <= {number}
    others = pl.concat(parts).filter(pl.col("term") != EVERYWHERE).sort("segment", "window_start_ms", "term")
    assert others.equals(rows.filter(pl.col("term") != EVERYWHERE))


def test_event_time_is_the_authors_clock_unless_that_is_missing_or_ahead_of_the_log() -> None:
    times = pl.DataFrame({"created": [5, None, 30], "log": [10, 20, 20]})
    assert times.select(event_times(pl.col("created"), pl.col("log"))).to_series().to_list() == [5, 20, 20]
