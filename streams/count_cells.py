"""The loop behind `streams.counts`: from posts with terms to one cell per (group, term), without sorting what can be counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]


class Posts(NamedTuple):
    """Posts as arrays, one number each; which group they are in, the numbers to sum, who wrote them and where they lie."""

    groups: Ints
    facts: Ints  # rows: posts; columns: what is summed
    authors: Hashes
    known: NDArray[np.bool_]  # is the author?
    places: Hashes


class Cells(NamedTuple):
    """What was counted, sorted by group, then code; the lists of all cells one after the other."""

    groups: Ints
    codes: Codes
    events: Ints
    sums: Ints  # rows: facts; columns: cells
    authors: Hashes  # of each cell the smallest distinct ones, ascending
    author_counts: Ints
    samples: Hashes  # of each cell the places of its first posts
    sample_counts: Ints


@compiled
def count_cells(posts: Posts, order: Ints, rows: Codes, codes: Codes, sizes: tuple[int, int], keep: tuple[int, int]) -> Cells:
    """Cells of posts, `codes[i]` being a term of post `rows[i]` (ascending); posts are taken in this order.

    `sizes`: how many groups and codes there are; `keep`: how many authors and samples of a cell.
    """
    at, code_at = _by_group_and_code(posts.groups, order, rows, codes, sizes[0], sizes[1])
    total = cells = 0
    for i in range(at.size):
        if i == 0 or code_at[i] != code_at[i - 1] or posts.groups[at[i]] != posts.groups[at[i - 1]]:
            cells += 1
    facts = posts.facts.shape[1]
    groups, cell_codes, events = np.empty(cells, np.int64), np.empty(cells, np.uint32), np.zeros(cells, np.int64)
    sums, authors, samples = np.zeros((facts, cells), np.int64), np.empty(at.size, np.uint64), np.empty(at.size, np.uint64)
    author_counts, sample_counts = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    cell, sampled = -1, 0
    for i in range(at.size):
        post = at[i]
        if i == 0 or code_at[i] != code_at[i - 1] or posts.groups[post] != posts.groups[at[i - 1]]:
            if cell >= 0:
                total += author_counts[cell]
            cell += 1
            groups[cell], cell_codes[cell] = posts.groups[post], code_at[i]
        events[cell] += 1
        for fact in range(facts):
            sums[fact, cell] += posts.facts[post, fact]
        if posts.known[post]:
            author_counts[cell] = keep_smallest(authors, total, author_counts[cell], posts.authors[post], keep[0])
        if sample_counts[cell] < keep[1]:
            samples[sampled] = posts.places[post]
            sampled += 1
            sample_counts[cell] += 1
    if cell >= 0:
        total += author_counts[cell]
    return Cells(groups, cell_codes, events, sums, authors[:total].copy(), author_counts, samples[:sampled].copy(), sample_counts)


@compiled
def _by_group_and_code(
    groups: Ints, order: Ints, rows: Codes, codes: Codes, all_groups: int, all_codes: int
) -> tuple[Codes, Codes]:
    """Post and code of every occurrence, sorted by group and code; of one cell in the order of posts."""
    ends = np.zeros(order.size + 1, np.int64)  # where the terms of each post end, one later
    next_code, next_group = np.zeros(all_codes + 1, np.int64), np.zeros(all_groups + 1, np.int64)
    for i in range(rows.size):
        ends[rows[i] + 1] += 1
        next_code[codes[i] + 1] += 1
        next_group[groups[rows[i]] + 1] += 1
    for i in range(order.size):
        ends[i + 1] += ends[i]
    for i in range(all_codes):
        next_code[i + 1] += next_code[i]
    for i in range(all_groups):
        next_group[i + 1] += next_group[i]
    some, some_codes = np.empty(rows.size, np.uint32), np.empty(rows.size, np.uint32)
    for post in order:
        for i in range(ends[post], ends[post + 1]):
            code = codes[i]
            some[next_code[code]], some_codes[next_code[code]] = post, code
            next_code[code] += 1
    at, code_at = np.empty(rows.size, np.uint32), np.empty(rows.size, np.uint32)
    for i in range(rows.size):
        group = groups[some[i]]
        at[next_group[group]], code_at[next_group[group]] = some[i], some_codes[i]
        next_group[group] += 1
    return at, code_at


@compiled
def keep_smallest(values: Hashes, begin: int, count: int, value: int, most: int) -> int:
    """Adds a value to the `count` ascending ones from `begin` on, keeping the `most` smallest; how many there are then."""
    if count == most and value >= values[begin + count - 1]:
        return count
    place = begin + count
    while place > begin and values[place - 1] > value:
        place -= 1
    if place > begin and values[place - 1] == value:
        return count
    last = begin + min(count, most - 1)
    for i in range(last, place, -1):
        values[i] = values[i - 1]
    values[place] = value
    return min(count + 1, most)
