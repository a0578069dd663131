"""The loop behind `streams.cells.Added`: rows of many tables to cells, without sorting or comparing texts.

A cell is known by its window and 128 bits of its term's hash under seeds that each process draws anew: nobody can prepare two terms
that are taken for one, and of 10^6 terms in a window two are by chance once in 10^26 windows.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.count_cells import keep_smallest

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]

_SEEDS = secrets.randbits(64), secrets.randbits(64)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Keys(NamedTuple):
    """Of each row, what its cell is known by."""

    windows: Ints
    hashes: Hashes
    others: Hashes


class Groups(NamedTuple):
    """The cells of some rows, in the order in which they first come."""

    of_row: Codes
    first: Ints  # row of each cell
    sums: Ints  # rows: cells; columns: what is summed


def keys(windows: pl.Series, terms: pl.Series) -> Keys:
    """Keys of rows of these windows and terms."""
    hashes, others = (numbers(terms.hash(seed)) for seed in _SEEDS)
    return Keys(numbers(windows), hashes, others)


def numbers(column: pl.Series) -> NDArray[Any]:
    """A column as an array that may not be written, even if it is a copy: for each kind of array a loop is compiled anew."""
    values = column.to_numpy()
    values.flags.writeable = False
    return values


@compiled
def add_up(of: Keys, columns: tuple[Ints, ...]) -> Groups:
    """The cells of these rows and the sums of the columns."""
    rows = of.windows.size
    size = 1024
    while size < 2 * rows:
        size *= 2
    mask = np.uint64(size - 1)
    table, of_row, first = np.zeros(size, np.uint32), np.empty(rows, np.uint32), np.empty(rows, np.int64)
    cells = 0
    for row in range(rows):
        place = (of.hashes[row] ^ np.uint64(of.windows[row]) * _SPREAD) & mask
        while table[place]:
            other = first[table[place] - 1]
            if of.hashes[other] == of.hashes[row] and of.others[other] == of.others[row] and of.windows[other] == of.windows[row]:
                break
            place = (place + np.uint64(1)) & mask
        if not table[place]:
            first[cells] = row
            cells += 1
            table[place] = cells
        of_row[row] = table[place] - 1
    sums = np.zeros((cells, len(columns)), np.int64)
    for row in range(rows):
        cell = of_row[row]
        for number in range(len(columns)):
            sums[cell, number] += columns[number][row]
    return Groups(of_row, first[:cells].copy(), sums)


@compiled
def sketches(of_row: Codes, numbers: Ints, ends: Ints, authors: Hashes, most: int) -> tuple[Hashes, Ints]:
    """The `most` smallest distinct authors of the cells that have a number, in the order of these, and how many each has.

    `numbers`: of each cell, from 0 on, or -1; `ends`: where each row's authors end, which ascend.
    """
    cells = 0
    for number in numbers:
        cells = max(cells, number + 1)
    room = np.zeros(cells + 1, np.int64)
    begin = 0
    for row in range(of_row.size):
        if numbers[of_row[row]] >= 0:
            room[numbers[of_row[row]] + 1] += ends[row] - begin
        begin = ends[row]
    for number in range(cells):
        room[number + 1] = room[number] + min(room[number + 1], most)
    found, counts = np.empty(room[cells], np.uint64), np.zeros(cells, np.int64)
    begin = 0
    for row in range(of_row.size):
        number = numbers[of_row[row]]
        if number >= 0:
            for at in range(begin, ends[row]):
                if counts[number] == most and authors[at] >= found[room[number] + most - 1]:
                    break  # those of a row ascend
                counts[number] = keep_smallest(found, room[number], counts[number], authors[at], most)
        begin = ends[row]
    total = 0
    for number in range(cells):
        for at in range(counts[number]):
            found[total + at] = found[room[number] + at]
        total += counts[number]
    return found[:total].copy(), counts
