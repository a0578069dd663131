"""Which detect partition owns a term; stable across versions and machines (xxh3_64)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

EVERYWHERE = "all:posts"
"""The term of every post; its rows go to every detect partition, for scale, and only its owner stores them."""


ALL = -1
"""The owner of EVERYWHERE."""

Owners = npt.NDArray[np.int64]


def partition_of(term: str, partitions: int) -> int:
    """The detect partition of a term, 0..partitions-1."""
    return int(xxhash.xxh3_64_intdigest(term.encode()) % partitions)


def owners_of(terms: pl.Series, partitions: int) -> Owners:
    """The detect partition of each term, ALL for EVERYWHERE."""
    hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, terms.cast(pl.Binary).to_list()), dtype=np.uint64, count=len(terms))
    owners = (hashes % np.uint64(partitions)).astype(np.int64)
    owners[(terms == EVERYWHERE).to_numpy()] = ALL
    return owners


def split(owners: Owners, partitions: int) -> list[npt.NDArray[np.intp]]:
    """Which rows each detect partition gets, given the owner of each; those of EVERYWHERE go to all of them."""
    return [np.flatnonzero((owners == number) | (owners == ALL)) for number in range(partitions)]
