"""The job of the comparisons: an event's id, its time and its words, as anybody would write it. Needs nothing but Python."""

from __future__ import annotations

import re

WINDOW_MS = 10_000
TERM = re.compile(r"[#@]?[a-z0-9_]{3,}")


def terms_of(text: str) -> set[str]:
    """Words, hashtags and handles, each once."""
    return set(TERM.findall(text.lower()))
