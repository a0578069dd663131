"""From bytes to typed structs: within the limits of size and depth, or `MalformedEvent` with the reason; nothing else is raised.

Depth has a limit of its own because the parser's depends on how deep the caller already is, and a replay must decide alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from schemas.errors import MalformedEvent

T = TypeVar("T")

MAX_EVENT_BYTES = 1_000_000  # before parsing; the largest real payload seen (X v2 with expansions) is 60 kB
MAX_DEPTH = 200  # the deepest real payload seen (X v1.1) nests 9 levels
SHALLOW_BYTES = 2 * MAX_DEPTH  # JSON this short cannot nest deeper than MAX_DEPTH and be complete

PARSE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)  # possessive: linear on anything
_LEAF = re.compile(r"at `\$(?:.*\.)?(\w+)(?:\[\.\.\.\])?`$")
_LEAF_REASONS = {
    **dict.fromkeys(("id", "id_str", "post_id", "name", "uri", "did", "rkey", "author", "author_id", "target_id"), "bad_id"),
    **dict.fromkeys(("reply_to", "repost_of", "quote_of", "parent_id", "in_reply_to_id"), "bad_id"),
    **dict.fromkeys(("created_ms", "created_at", "createdAt", "created_utc", "edited_at", "edited", "time_us"), "bad_time"),
}


def parse(decode: Callable[[bytes], T], data: bytes) -> T:
    """What `decode` makes of the bytes; raises MalformedEvent on anything it refuses."""
    if not data or len(data) > SHALLOW_BYTES:
        check_limits(data)
    try:
        return decode(data)
    except PARSE_ERRORS as error:
        raise malformed(error, data) from None


def check_limits(data: bytes | None) -> None:
    """Raises `empty`, `too_large`, or `not_json` for what is nested too deep."""
    if not data:
        raise MalformedEvent("empty", "no bytes")
    if len(data) > MAX_EVENT_BYTES:
        raise MalformedEvent("too_large", f"{len(data)} bytes, at most {MAX_EVENT_BYTES} are taken")
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise MalformedEvent("not_json", f"nested deeper than {MAX_DEPTH} levels")


def malformed(error: Exception, data: bytes) -> MalformedEvent:
    """The reason why a typed decoder raised `error` on these bytes."""
    if not isinstance(error, msgspec.ValidationError):
        return _not_json(error, data)
    try:
        msgspec.json.decode(data, type=msgspec.Raw)  # the typed decoder stopped at the first surprise
    except PARSE_ERRORS as syntax:
        return _not_json(syntax, data)
    message = str(error)
    leaf = _LEAF.search(message)
    field = leaf[1] if leaf else ""
    if field == "kind" and message.startswith("Invalid enum value"):
        return MalformedEvent("unsupported", message[:200])
    return MalformedEvent(_LEAF_REASONS.get(field, "not_an_event"), message[-200:])


def _not_json(error: Exception, data: bytes) -> MalformedEvent:
    try:
        bytes(data).decode()
    except UnicodeDecodeError as encoding:
        return MalformedEvent("not_utf8", f"{encoding.reason} at byte {encoding.start}")
    if not data.strip():
        return MalformedEvent("empty", "only white space")
    return MalformedEvent("not_json", str(error)[:200])


def _depth(data: bytes) -> int:
    deepest = depth = 0
    for token in _STRING_OR_BRACKET.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest
