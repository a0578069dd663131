"""The rules that the fields of an event obey, whichever platform it came from: no value leaves here unbounded or unchecked.

What identifies an event or says when it was is checked and refused (`MalformedEvent`); what decorates it (language, link,
community, hashtags) is dropped when it makes no sense, because a post with a broken decoration is still a voice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from schemas.errors import MalformedEvent

MAX_TEXT_CHARS = 20_000  # after parsing; longer text is cut, not refused (Mastodon and Reddit allow 40,000 and more)
MAX_ID_CHARS = 512  # ids above are refused: an at:// URI is about 70
MAX_URL_CHARS = 2_048  # longer links are dropped; browsers and servers stop there too
MAX_NAME_CHARS = 128  # platform, community, hashtag, handle
MAX_NAMES = 64  # hashtags, handles or links of one post; the rest is dropped
MAX_FOLLOWERS = 10**10  # more than there are people: not a follower count
MAX_TIME_MS = 7_289_654_400_000  # 2201-01-01T00:00:00Z

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
PLAIN_LANGUAGES = frozenset(a + b for a in _LETTERS for b in _LETTERS)
"""All two-letter codes: a language that needs no cleaning."""


def identifier(value: str | int | None) -> str:
    """The id as text, integers as their exact digits, None as ""; raises `bad_id` if too long or with control characters."""
    text = "" if value is None else str(value)
    if len(text) > MAX_ID_CHARS:
        raise MalformedEvent("bad_id", f"{len(text)} characters, at most {MAX_ID_CHARS} are taken: {text[:40]!r}...")
    if _CONTROL.search(text):
        raise MalformedEvent("bad_id", f"control characters in {text[:80]!r}")
    return text


def time_ms(value: int) -> int:
    """The UTC epoch ms unchanged; raises `bad_time` outside years 1970..2200."""
    if 0 <= value < MAX_TIME_MS:
        return value
    raise MalformedEvent("bad_time", f"{value if abs(value) < 10**20 else 'a huge number of'} ms is outside years 1970..2200")


def iso_ms(text: str) -> int:
    """UTC epoch ms of an ISO 8601 time, cut to ms; no zone means UTC; raises `bad_time`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedEvent("bad_time", f"{text[:80]!r} is no ISO 8601 time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return time_ms((moment - _EPOCH) // _MILLISECOND)


def iso_ms_or_none(text: str | None) -> int | None:
    """As `iso_ms`, but None where the time is absent or no time: for times that only decorate."""
    try:
        return None if text is None else iso_ms(text)
    except MalformedEvent:
        return None


def cut(text: str | None) -> str:
    """The text, at most MAX_TEXT_CHARS of it; None as ""."""
    return "" if text is None else text[:MAX_TEXT_CHARS]


def language(tag: str | None) -> str:
    """BCP 47 primary subtag in lower case; "" for none, "und" and what is no tag."""
    if not tag or len(tag) > 35:  # RFC 5646 section 4.4.1: no tag in use is longer
        return ""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    known = primary.isascii() and primary.isalpha() and 2 <= len(primary) <= 8
    return primary if known and primary not in ("und", "zxx", "mul", "qme", "qht") else ""


def name(text: str | None) -> str:
    """A short printable name, stripped; "" for what is too long or holds control characters."""
    stripped = text.strip() if text else ""
    return stripped if len(stripped) <= MAX_NAME_CHARS and not _CONTROL.search(stripped) else ""


def names(values: Iterable[str] | None, sigil: str) -> tuple[str, ...]:
    """Distinct names in order without their leading `sigil`, at most MAX_NAMES."""
    if not values:
        return ()
    found = dict.fromkeys(name(value).lstrip(sigil) for value in values)
    return tuple(filter(None, found))[:MAX_NAMES]


def web_url(text: str | None) -> str:
    """The absolute http(s) URL; "" for anything else, so that no `javascript:` reaches a page."""
    if not text or len(text) > MAX_URL_CHARS or not text.startswith(("https://", "http://")):
        return ""
    return "" if " " in text or _CONTROL.search(text) else text


def web_urls(values: Iterable[str | None] | None) -> tuple[str, ...]:
    """Distinct absolute http(s) URLs in order, at most MAX_NAMES."""
    if not values:
        return ()
    found = dict.fromkeys(web_url(value) for value in values)
    return tuple(filter(None, found))[:MAX_NAMES]


def follower_count(value: int | None) -> int | None:
    """The count, or None where it is absent or cannot be one."""
    return value if value is not None and 0 <= value <= MAX_FOLLOWERS else None
