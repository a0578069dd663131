"""What the team listens for: one record per brand on the compacted topic social.watchlist, key = brand id."""

from __future__ import annotations

import re
import zoneinfo
from typing import Literal

import msgspec
import orjson

from schemas.errors import ConfigurationError

Sensitivity = Literal["low", "medium", "high"]
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class Brand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One brand, person, product or plain word to watch; its term is `brand:<id>`.

    A post names the brand if it holds an alias (whole words, any case), a handle or a hashtag, and, if `context` is given and the
    match came by an alias, at least one of `context`. An alias inside a phrase of `exclude` does not count ("apple pie"); a phrase
    of `exclude` without an alias in it ("orchard") rules the whole post out.
    """

    id: str
    name: str = ""  # for people; empty: the id
    aliases: tuple[str, ...] = ()  # empty aliases, handles and hashtags together: the id itself is the alias
    handles: tuple[str, ...] = ()  # without '@'
    hashtags: tuple[str, ...] = ()  # without '#'
    exclude: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    sensitivity: Sensitivity = "medium"
    muted: bool = False  # counted and stored, never alerted
    quiet_hours: str = ""  # HH:MM-HH:MM, past midnight if it ends first; meanwhile only what is grave is alerted, the rest after
    timezone: str = "UTC"  # of the quiet hours, an IANA name

    @property
    def quiet_minutes(self) -> tuple[int, int] | None:
        """First minute of the day that is quiet and the first that is not any more; None: no quiet hours."""
        found = _HOURS.fullmatch(self.quiet_hours)
        if found is None:
            return None
        first, first_minute, last, last_minute = map(int, found.groups())
        return 60 * first + first_minute, 60 * last + last_minute


_decoder = msgspec.json.Decoder(Brand)


def encode_brand(brand: Brand) -> bytes:
    """The brand as JSON; same brand, same bytes."""
    return orjson.dumps(msgspec.to_builtins(brand))


def decode_brand(data: bytes) -> Brand:
    """The brand of `encode_brand` or of a watchlist file; raises ConfigurationError with what is wrong."""
    try:
        brand = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"watchlist entry is not a brand: {error}") from error
    if not _ID.fullmatch(brand.id):
        raise ConfigurationError(f"brand id {brand.id!r}: use a-z, 0-9, '_', '.', '-', at most 64, starting with a letter or digit")
    _check_quiet_hours(brand)
    return brand


def _check_quiet_hours(brand: Brand) -> None:
    minutes = brand.quiet_minutes
    if brand.quiet_hours and (minutes is None or minutes[0] == minutes[1]):
        raise ConfigurationError(
            f"brand {brand.id}: quiet hours {brand.quiet_hours!r}: expected two times of day, as in 22:00-07:00"
        )
    try:
        zoneinfo.ZoneInfo(brand.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"brand {brand.id}: timezone {brand.timezone!r} is not known here; use a name like Europe/Berlin, or UTC"
        ) from error


def load_watchlist(data: bytes) -> tuple[Brand, ...]:
    """Brands of a watchlist file: a JSON array of brands, or one brand a line. Ids must be distinct."""
    text = data.strip()
    raws = [bytes(raw) for raw in msgspec.json.decode(text, type=list[msgspec.Raw])] if text.startswith(b"[") else text.splitlines()
    brands = tuple(decode_brand(raw) for raw in raws if raw.strip())
    if len({brand.id for brand in brands}) != len(brands):
        raise ConfigurationError("watchlist holds a brand id twice")
    return brands
