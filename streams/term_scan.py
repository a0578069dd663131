"""The loops behind `streams.terms`, which has the rules: from bytes to distinct terms, each character looked at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.characters import (
    ENDS_URL,
    IS_HAN,
    IS_HANGUL,
    IS_KATAKANA,
    IS_SOUTH_EAST,
    LETTER,
    NAME,
    PLAIN,
    SIGN,
    SPACELESS,
    WORD,
)
from streams.compiled import compiled, inlined

Bytes = NDArray[np.uint8]
Flags = NDArray[np.uint16]
Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Spans = NDArray[np.int32]
Points = NDArray[np.int32]

DOMAIN, HASHTAG, KEYWORD, MENTION = 0, 1, 2, 3  # kinds of terms, in the order of their names

_HAN_NEIGHBOURS, _SOUTH_EAST_NEIGHBOURS = 2, 4
_MAX_SPACELESS_CHARS = 512
_SHORTEST_KEYWORD = 3
_WIDE = 0x1100  # two characters from here on are a keyword
_AT, _HASH, _DOT, _HYPHEN, _SLASH, _QUERY, _COLON = 64, 35, 46, 45, 47, 63, 58
_H, _T, _P, _S, _W = 104, 116, 112, 115, 119
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
_LOW = np.uint64(0xFFFFFFFF)
_FEW = 4_096


class Found(NamedTuple):
    """Distinct terms of many texts."""

    ids: Codes
    """Of all texts, one after the other: the terms of each, each once, in order of place."""
    ends: Ints
    """Where each text's ids end."""
    terms: Spans
    """Kind of each id, and where its value begins and ends in the bytes (columns)."""
    stops: int
    """The ids below are those of the first text; no other text has them."""


@compiled
def scan(data: Bytes, ends: Ints, kinds: Flags, max_chars: int, seed: int) -> Found:
    """Terms of UTF-8 texts: text i ends before `ends[i]`, and the next begins one byte later. The first holds stop words."""
    longest, start = 0, 0
    for end in ends:
        longest = max(longest, end - start)
        start = end + 1
    points, flags, at = np.zeros(longest + 2, np.int32), np.zeros(longest + 2, np.uint16), np.zeros(longest + 2, np.int64)
    pieces = np.empty((longest // 2 + 2, 3), np.int64)
    ids, row_ends = np.empty(data.size // 2 + ends.size + 1, np.uint32), np.empty(ends.size, np.int64)
    hashes, terms, last = np.empty(_FEW, np.uint64), np.empty((_FEW, 3), np.int32), np.empty(_FEW, np.int32)
    table = np.zeros(2 * _FEW, np.uint64)  # the high half of the hash, and id + 1; 0: free
    start = total = known = stops = 0
    for row in range(ends.size):
        count = _decode(data, start, ends[row], kinds, points, flags, at)
        some = _pieces(points, flags, count, max_chars, pieces)
        while known + some > hashes.size:
            hashes, last = np.append(hashes, np.empty_like(hashes)), np.append(last, np.empty_like(last))
            terms = np.concatenate((terms, np.empty_like(terms)))
            table = _table(hashes, known)
        for piece in range(some):
            kind, begin, end = pieces[piece, 0], at[pieces[piece, 1]], at[pieces[piece, 2]]
            hash_ = _hash(data, kind, begin, end, seed)
            place = _place(data, table, terms, hash_, kind, begin, end)
            own = int(table[place] & _LOW) - 1
            if own < 0:
                own = known
                hashes[own], last[own] = hash_, -1
                terms[own, 0], terms[own, 1], terms[own, 2] = kind, begin, end
                known += 1
                table[place] = hash_ & ~_LOW | np.uint64(known)
            if row and own >= stops and last[own] != row:
                last[own] = row
                ids[total] = own
                total += 1
        row_ends[row] = total
        start = ends[row] + 1
        if row == 0:
            stops = known
    return Found(ids[:total].copy(), row_ends, terms[:known].copy(), stops)


@compiled
def _decode(data: Bytes, start: int, end: int, kinds: Flags, points: Points, flags: Flags, at: Ints) -> int:
    """Reads valid UTF-8; how many code points. Behind the last one stands a 0."""
    count, i = 0, start
    while i < end:
        byte = np.int64(data[i])
        if byte < 0x80:
            point, size = byte, 1
        elif byte < 0xE0:
            point, size = (byte & 0x1F) << 6 | (data[i + 1] & 0x3F), 2
        elif byte < 0xF0:
            point, size = (byte & 0x0F) << 12 | np.int64(data[i + 1] & 0x3F) << 6 | (data[i + 2] & 0x3F), 3
        else:
            high = (byte & 0x07) << 18 | np.int64(data[i + 1] & 0x3F) << 12
            point, size = high | np.int64(data[i + 2] & 0x3F) << 6 | (data[i + 3] & 0x3F), 4
        points[count], flags[count], at[count] = point, kinds[point], i
        count += 1
        i += size
    points[count], flags[count], at[count] = 0, 0, end
    return count


@compiled
def _pieces(points: Points, flags: Flags, count: int, max_chars: int, out: Ints) -> int:
    """Kind, begin and end of every term, in order of place, repeats included; how many."""
    found = i = 0
    while i < count:
        if flags[i] & (WORD | SIGN) == 0:
            i += 1
            continue
        url = _behind_scheme(points, i, count)
        if url and url < count and not flags[url] & ENDS_URL:
            end = url
            while end < count and not flags[end] & ENDS_URL:
                end += 1
            found = _add_host(points, flags, url, end, max_chars, out, found)
            i = end
        elif points[i] == _AT and flags[i + 1] & NAME:
            i, found = _add_handle(points, flags, i, count, max_chars, out, found)
        else:
            end, every, some = _run(points, flags, i, count)
            if every & PLAIN:  # as most are
                found = _add_keyword(points, flags, i, end, some, max_chars, out, found)
            else:
                found = _add_run(points, flags, i, end, max_chars, out, found)
            i = end
    return found


@inlined
def _behind_scheme(points: Points, i: int, count: int) -> int:
    """Where what follows `https?://` begins, if that stands here; else 0."""
    if points[i] != _H or i + 7 > count or points[i + 1] != _T or points[i + 2] != _T or points[i + 3] != _P:
        return 0
    i += 5 if points[i + 4] == _S else 4
    if i + 3 > count or points[i] != _COLON or points[i + 1] != _SLASH or points[i + 2] != _SLASH:
        return 0
    return i + 3


@inlined
def _run(points: Points, flags: Flags, i: int, count: int) -> tuple[int, int, int]:
    """Where the run ends that begins here, the flags that all of it has, and those that some of it has."""
    every, some, end = 0xFFFF, 0, i
    for at in range(i, count + 1):  # behind the last one nothing is a word
        flag = flags[at]
        if flag & (WORD | SIGN) == 0 or (some & SPACELESS and flags[at - 1] & SPACELESS and _behind_scheme(points, at, count)):
            end = at
            break
        every &= flag
        some |= flag
    return end, every, some


@inlined
def _add(kind: int, begin: int, end: int, max_chars: int, out: Ints, found: int) -> int:
    if not 0 < end - begin <= max_chars:
        return found
    out[found, 0], out[found, 1], out[found, 2] = kind, begin, end
    return found + 1


@compiled
def _add_host(points: Points, flags: Flags, begin: int, end: int, max_chars: int, out: Ints, found: int) -> int:
    """The host of a url of which what stands from `begin` to `end` is behind the scheme."""
    stop = begin
    while stop < end and points[stop] != _SLASH and points[stop] != _QUERY and points[stop] != _HASH:
        stop += 1
    first = stop
    while first > begin:  # behind the last '@' that a host can follow
        if points[first - 1] == _AT and first < end and flags[first] & WORD:
            break
        first -= 1
    www = 0
    while www < 4 and first + www < end and points[first + www] == (_DOT if www == 3 else _W):
        www += 1
    if www == 4 and first + 4 < end and flags[first + 4] & WORD:
        first += 4
    if not (first < end and flags[first] & WORD):
        return found
    last = i = first
    dots = seen = 0
    while i < end and (flags[i] & WORD or points[i] == _DOT or points[i] == _HYPHEN):
        if flags[i] & WORD:
            last, dots = i + 1, seen
        elif points[i] == _DOT:
            seen += 1
        i += 1
    return _add(DOMAIN, first, last, max_chars, out, found) if dots else found


@compiled
def _behind_handle(points: Points, flags: Flags, i: int, count: int) -> int:
    """Where [a-z0-9_]+ with single inner '.' or '-' ends that begins here."""
    while i < count and flags[i] & NAME:
        i += 1
        joined = points[i] == _DOT or points[i] == _HYPHEN
        if i + 1 < count and joined and flags[i + 1] & NAME:
            i += 1
    return i


@compiled
def _add_handle(points: Points, flags: Flags, i: int, count: int, max_chars: int, out: Ints, found: int) -> tuple[int, int]:
    """The handle whose '@' stands here; where it ends with all that is glued to it."""
    begin = i + 1
    end = first = _behind_handle(points, flags, begin, count)
    if end + 1 < count and points[end] == _AT and flags[end + 1] & NAME:
        end = _behind_handle(points, flags, end + 1, count)
    behind, _, _ = _run(points, flags, end, count)
    if end == behind or flags[end] & (SIGN | SPACELESS | IS_HANGUL):
        found = _add(MENTION, begin, end, max_chars, out, found)
    elif end > first:
        found = _add(MENTION, begin, first, max_chars, out, found)
    return behind, found


@compiled
def _add_run(points: Points, flags: Flags, begin: int, end: int, max_chars: int, out: Ints, found: int) -> int:
    """Hashtags and keywords of a run."""
    i = begin
    while i < end:
        signs = i
        while i < end and flags[i] & SIGN:
            i += 1
        word = i
        while i < end and not flags[i] & SIGN:
            i += 1
        if i == word:
            break
        before = points[word - 1] if word > signs else 0
        if before == _HASH:
            alone = word - 1 == begin
            doubled = word - 2 >= signs and (points[word - 2] == _HASH or points[word - 2] == _AT)
            if (alone or doubled) and _some(points, flags, word, i) & LETTER:
                found = _add(HASHTAG, word, i, max_chars, out, found)
        elif before != _AT:
            found = _add_words(points, flags, word, i, max_chars, out, found)
    return found


@compiled
def _add_words(points: Points, flags: Flags, i: int, end: int, max_chars: int, out: Ints, found: int) -> int:
    while i < end:
        script = flags[i] & (PLAIN | IS_HAN | IS_KATAKANA | IS_SOUTH_EAST)
        begin = i
        i += 1
        while i < end and script and flags[i] & script:
            i += 1
        size = _HAN_NEIGHBOURS if script == IS_HAN else _SOUTH_EAST_NEIGHBOURS if script == IS_SOUTH_EAST else 0
        if size:
            for first in range(begin, min(i, begin + _MAX_SPACELESS_CHARS) - size + 1):
                found = _add_keyword(
                    points, flags, first, first + size, _some(points, flags, first, first + size), max_chars, out, found
                )
        elif script:
            found = _add_keyword(points, flags, begin, i, _some(points, flags, begin, i), max_chars, out, found)
    return found


@inlined
def _add_keyword(points: Points, flags: Flags, begin: int, end: int, some: int, max_chars: int, out: Ints, found: int) -> int:
    wide = end - begin == 2 and points[begin] >= _WIDE and points[begin + 1] >= _WIDE
    if some & LETTER and (end - begin >= _SHORTEST_KEYWORD or wide):
        return _add(KEYWORD, begin, end, max_chars, out, found)
    return found


@inlined
def _some(points: Points, flags: Flags, begin: int, end: int) -> int:
    """The flags that some of these have."""
    some = 0
    for i in range(begin, end):
        some |= flags[i]
    return some


@inlined
def _hash(data: Bytes, kind: int, begin: int, end: int, seed: int) -> np.uint64:
    found = np.uint64(seed) + np.uint64(kind)
    for i in range(begin, end):
        found = (found ^ np.uint64(data[i])) * _PRIME
        found ^= found >> _SHIFT
    return found


@compiled
def _table(hashes: NDArray[np.uint64], known: int) -> NDArray[np.uint64]:
    """A table of the ids so far with room for twice as many as there are hashes."""
    table = np.zeros(2 * hashes.size, np.uint64)
    for own in range(known):
        place = np.int64(hashes[own] & np.uint64(table.size - 1))
        while table[place]:
            place = (place + 1) & (table.size - 1)
        table[place] = hashes[own] & ~_LOW | np.uint64(own + 1)
    return table


@inlined
def _place(data: Bytes, table: NDArray[np.uint64], terms: Spans, hash_: np.uint64, kind: int, begin: int, end: int) -> int:
    """Where the term stands in the table, or may be put."""
    place = np.int64(hash_ & np.uint64(table.size - 1))
    while table[place]:
        if (table[place] ^ hash_) & ~_LOW == 0:
            own = np.int64(table[place] & _LOW) - 1
            if terms[own, 0] == kind and _same(data, terms[own, 1], terms[own, 2], begin, end):
                break
        place = (place + 1) & (table.size - 1)
    return int(place)


@inlined
def _same(data: Bytes, begin: int, end: int, other: int, other_end: int) -> bool:
    if end - begin != other_end - other:
        return False
    for i in range(end - begin):  # noqa: SIM110 - a generator is not compiled
        if data[begin + i] != data[other + i]:
            return False
    return True


@compiled
def first_bytes(data: Bytes, terms: Spans) -> NDArray[np.uint64]:
    """Kind and first seven bytes of each id of `Found.terms` as one number: these sort as the terms do, as far as they go."""
    keys = np.empty(len(terms), np.uint64)
    for own in range(len(terms)):
        key, begin, end = np.uint64(terms[own, 0]), terms[own, 1], terms[own, 2]
        for i in range(begin, begin + 7):
            key = key << np.uint64(8) | np.uint64(data[i] if i < end else 0)
        keys[own] = key
    return keys


@compiled
def settle_ties(data: Bytes, terms: Spans, keys: NDArray[np.uint64], order: Ints) -> None:
    """Sorts what is alike in its first bytes by the rest; `order` sorts the keys."""
    spare, begin = np.empty(order.size, np.int64), 0
    while begin < order.size:
        end = begin + 1
        while end < order.size and keys[order[end]] == keys[order[begin]]:
            end += 1
        width = 1
        while width < end - begin:
            _merge_runs(data, terms, order, spare, begin, end, width)
            order[begin:end] = spare[begin:end]
            width *= 2
        begin = end


@compiled
def _merge_runs(data: Bytes, terms: Spans, order: Ints, spare: Ints, begin: int, end: int, width: int) -> None:
    """Merges neighbouring runs of this width, each sorted, into `spare`."""
    for first in range(begin, end, 2 * width):
        left, middle = first, min(first + width, end)
        right, last = middle, min(first + 2 * width, end)
        for place in range(first, last):
            if left < middle and (right == last or not _before(data, terms, order[right], order[left])):
                spare[place] = order[left]
                left += 1
            else:
                spare[place] = order[right]
                right += 1


@compiled
def _before(data: Bytes, terms: Spans, one: int, other: int) -> bool:
    """Of two terms that are alike in their first bytes."""
    i, j, end, other_end = terms[one, 1] + 7, terms[other, 1] + 7, terms[one, 2], terms[other, 2]
    while i < end and j < other_end:
        if data[i] != data[j]:
            return bool(data[i] < data[j])
        i += 1
        j += 1
    return bool(i >= end and j < other_end)


@compiled
def names(data: Bytes, terms: Spans, order: Ints, prefixes: Bytes, starts: Ints) -> Bytes:
    """`kind:value` of these ids in this order, a newline behind each; `prefixes` of kind k stand from `starts[k]` on."""
    size = 0
    for own in order:
        kind = terms[own, 0]
        size += starts[kind + 1] - starts[kind] + terms[own, 2] - terms[own, 1] + 1
    out, at = np.empty(size, np.uint8), 0
    for own in order:
        kind = terms[own, 0]
        for i in range(starts[kind], starts[kind + 1]):
            out[at] = prefixes[i]
            at += 1
        for i in range(terms[own, 1], terms[own, 2]):
            out[at] = data[i]
            at += 1
        out[at] = 10
        at += 1
    return out


@compiled
def choose(ends: Ints, codes: Codes, brand_ends: Ints, brand_codes: Codes, kinds: Ints, max_terms: int) -> tuple[Codes, Codes]:
    """Row and code of each post's terms, sorted: 0, its brands and its terms, of which `ends` says where each post's end.

    Of too many those remain that come first by kind and then in the order given; `kinds`: where the codes of each begin, and end.
    """
    size = ends.size + brand_codes.size + codes.size
    rows, chosen = np.empty(size, np.uint32), np.empty(size, np.uint32)
    total = begin = brand_begin = 0
    for row in range(ends.size):
        first, end, brand_end = total, ends[row], brand_ends[row]
        chosen[total] = 0
        total += 1
        for at in range(brand_begin, min(brand_end, brand_begin + max_terms - 1)):
            chosen[total] = brand_codes[at]
            total += 1
        room = max_terms - (total - first)
        if end - begin <= room:
            for at in range(begin, end):
                chosen[total] = codes[at]
                total += 1
        else:
            for kind in (HASHTAG, MENTION, DOMAIN, KEYWORD):
                for at in range(begin, end):
                    if room and kinds[kind] <= codes[at] < kinds[kind + 1]:
                        chosen[total] = codes[at]
                        total += 1
                        room -= 1
        _sort(chosen, first, total)
        for at in range(first, total):
            rows[at] = row
        begin, brand_begin = end, brand_end
    return rows[:total].copy(), chosen[:total].copy()


@compiled
def _sort(values: Codes, begin: int, end: int) -> None:
    for i in range(begin + 1, end):
        value, at = values[i], i
        while at > begin and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value
