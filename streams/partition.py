"""Which detect partition owns a term; stable across versions and machines (xxh3_64)."""

from __future__ import annotations

import polars as pl
import xxhash

EVERYWHERE = "all:posts"
"""The term of every post; its rows go to every detect partition, for scale, and only its owner stores them."""


def partition_of(term: str, partitions: int) -> int:
    """The detect partition of a term, 0..partitions-1."""
    return int(xxhash.xxh3_64_intdigest(term.encode()) % partitions)


def split(rows: pl.DataFrame, partitions: int) -> list[pl.DataFrame]:
    """The rows of each detect partition, in their order; rows of EVERYWHERE are in all of them."""
    if partitions == 1:
        return [rows]
    terms = rows.get_column("term").unique()
    owners = pl.Series([partition_of(term, partitions) for term in terms], dtype=pl.Int32)
    owner = rows.get_column("term").replace_strict(terms, owners, return_dtype=pl.Int32)
    everywhere = rows.get_column("term") == EVERYWHERE
    return [rows.filter((owner == number) | everywhere) for number in range(partitions)]
