"""When nobody wants to be woken for a brand, by the clock on the wall of its team; a function of log time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from schemas.watchlist import Brand


def is_quiet(brand: Brand, at_ms: int) -> bool:
    """Whether it is within the quiet hours of the brand; the first minute is, the last is not."""
    minutes = brand.quiet_minutes
    if minutes is None:
        return False
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(brand.timezone))
    now, (start, end) = 60 * local.hour + local.minute, minutes
    return start <= now < end if start < end else now >= start or now < end


def all_quiet(brands: Collection[Brand], at_ms: int) -> bool:
    """Whether there are brands and it is quiet for each of them: one team that is awake is enough to tell."""
    return bool(brands) and all(is_quiet(brand, at_ms) for brand in brands)
