"""Author and id hashes are the standards they say, for ever."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import decode_event
from schemas.fields import name
from streams.brands import compile_watchlist
from streams.ingest import ingest, resume
from streams.privacy import hash_authors, hash_ids
from streams.records import Record
from streams.segment_table import IngestParams

KEY = b"a secret key"


def hashes(*pairs: tuple[str, str], key: bytes = KEY) -> list[int | None]:
    platforms, authors = zip(*pairs, strict=True)
    return hash_authors(platforms, authors, key).to_list()


@given(st.lists(st.tuples(st.sampled_from(["x", "bluesky"]), st.text(max_size=5)), min_size=1), st.binary(min_size=8, max_size=100))
def test_the_hash_is_keyed_blake2b_of_platform_and_author(pairs: list[tuple[str, str]], key: bytes) -> None:
    short = key if len(key) <= 64 else blake2b(key).digest()
    expected = [
        int.from_bytes(blake2b(f"{p}\0{a}".encode(), key=short, digest_size=8).digest(), "little") if a else None for p, a in pairs
    ]
    assert hashes(*pairs, key=key) == expected


def test_platforms_and_keys_keep_authors_apart() -> None:
    one, same, other = hashes(("x", "ann"), ("x", "ann"), ("y", "ann"))
    assert one == same != other
    assert hashes(("x", "ann"), key=b"another key") != [one]


def test_an_unknown_author_has_no_hash() -> None:
    assert hashes(("x", ""), ("", "")) == [None, None]
    assert hash_authors([], [], KEY).dtype == pl.UInt64


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="8 or more"):
        hashes(("x", "ann"), key=b"short")


def test_id_hashes_are_xxh3_and_stay() -> None:
    hashed = hash_ids(["", "x", "bluesky"], ["", "a", "at://did:plc:x/post/1"])
    assert hashed.dtype == np.uint64
    assert hashed.tolist() == [0xC44BDFF4074EECDB, 0x2DF97E1DE111FBAC, 0xED1666C57A87DFDB]
    assert hash_ids([], []).tolist() == []


NAMES = st.text(st.characters(codec="utf-8") | st.sampled_from(":/|-"))


@given(NAMES.map(name), NAMES, st.integers(0, 9))
def test_no_two_posts_are_taken_for_one_wherever_a_separator_stands_in_their_names(platform: str, own: str, at: int) -> None:
    joined = f"{platform}:{own}"
    other = name(joined[:at]), joined[at + 1 :]
    one, same = hash_ids([platform, other[0]], [own, other[1]]).tolist()
    assert (one == same) == (other == (platform, own))


def test_a_separator_in_a_platform_s_name_makes_no_copies() -> None:
    events = [
        {"id": "b:c", "platform": "a"},
        {"id": "c", "platform": "a:b"},
        {"id": "b:c", "platform": "a\0b"},
        {"id": "c", "platform": "a"},
    ]
    log = [{"id": f"clock{number}"} for number in range(8)] + events + [{"id": "b:c", "platform": "A"}]
    records = [Record(offset, 1_700_000_000_000, orjson.dumps(event)) for offset, event in enumerate(log)]
    records.append(Record(len(log), 1_700_000_002_000, b"{}"))
    params = IngestParams(sources=1, partitions=1, author_key=KEY)
    done = ingest(resume(0, "raw", 0, 0, [], params), records, decode_event, compile_watchlist([]), params)
    assert done.outcomes == {"counted": 12, "duplicate": 1, "filtered": 0, "dead": 0}
