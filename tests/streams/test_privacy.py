"""Author and id hashes are the standards they say, for ever."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.privacy import hash_authors, hash_ids

KEY = b"a secret key"


def hashes(*pairs: tuple[str | None, str | None], key: bytes = KEY) -> list[int | None]:
    platforms, authors = zip(*pairs, strict=True)
    return hash_authors(pl.Series(platforms, dtype=pl.String), pl.Series(authors, dtype=pl.String), key).to_list()


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
    assert hashes(("x", ""), ("x", None)) == [None, None]
    assert hash_authors(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.String), KEY).dtype == pl.UInt64


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="8 or more"):
        hashes(("x", "ann"), key=b"short")


def test_id_hashes_are_xxh3_and_stay() -> None:
    hashed = hash_ids(["", "a", "at://did:plc:x/post/1"])
    assert hashed.dtype == np.uint64
    assert hashed.tolist() == [0x2D06800538D394C2, 0xE6C632B61E964E1F, hash_ids(["at://did:plc:x/post/1"])[0]]
    assert hash_ids([]).tolist() == []
