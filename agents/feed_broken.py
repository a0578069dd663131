"""Records that are no events: at least one of every kind that real topics hold, each with the reason it must be refused for."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from schemas.events import MAX_EVENT_BYTES, MAX_ID_CHARS

_MAKERS: dict[str, tuple[Callable[[str], bytes], ...]] = {
    "empty": (lambda _: b"", lambda _: b" \n\t "),
    "not_utf8": (lambda i: b'{"id":"%s","platform":"x","text":"caf\xe9 \xff\xfe"}' % i.encode(),),
    "not_json": (
        lambda i: b'{"id":"%s","platform":"x","text":"cut off in the mid' % i.encode(),
        lambda _: b"<html><body>502 Bad Gateway</body></html>",
        lambda i: b'{"id":"%s","platform":"x","text":' % i.encode() + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ),
    "not_an_event": (
        lambda _: b"[1,2,3]",
        lambda _: b'"just a string"',
        lambda i: b'{"id":"%s","platform":["x"],"text":7}' % i.encode(),
    ),
    "missing_id": (lambda _: b'{"platform":"x","author":"77","created_ms":1700000000000,"text":"who am I"}',),
    "bad_id": (
        lambda i: b'{"id":"%s","platform":"x","text":"long id"}' % (i.encode() * MAX_ID_CHARS),
        lambda i: b'{"id":"%s\\u0000\\u001b","platform":"x","text":"control characters"}' % i.encode(),
    ),
    "bad_time": (
        lambda i: b'{"id":"%s","platform":"x","created_at":"the day before yesterday","text":"when"}' % i.encode(),
        lambda i: b'{"id":"%s","platform":"x","created_ms":99999999999999,"text":"year 5138"}' % i.encode(),
    ),
    "missing_target": (
        lambda _: b'{"kind":"delete","platform":"x","created_ms":1700000000000}',
        lambda i: b'{"id":"%s","kind":"repost","platform":"x","text":"of what"}' % i.encode(),
    ),
    "unsupported": (lambda i: b'{"id":"%s","kind":"poll","platform":"x","text":"yes or no"}' % i.encode(),),
    "too_large": (lambda i: b'{"id":"%s","platform":"x","text":"%s"}' % (i.encode(), b"a" * MAX_EVENT_BYTES),),
}

BROKEN_REASONS = tuple(_MAKERS)

_RARE = {"too_large": 0.05}  # a megabyte each


def broken_value(rng: Random, identifier: str) -> tuple[str, bytes]:
    """A reason and bytes that must be refused for it."""
    reason = rng.choices(BROKEN_REASONS, [_RARE.get(reason, 1.0) for reason in BROKEN_REASONS])[0]
    return reason, rng.choice(_MAKERS[reason])(identifier)
