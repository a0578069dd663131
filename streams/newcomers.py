"""Brands that were just put on the watchlist: their steady traffic looks like a surge, and is none.

Ingest counts a brand from the moment it is watched, so its past is empty whatever its real one is. For `new_brand_ms` of log time
its surges open nothing, though they may join a moment; what was counted meanwhile is taken for usual, and a surge that
outlasts it must grow beyond that.
Brands that are there when curate starts (`CurateState.fresh`), or else when it is first called, are old.
Deterministic by the watchlists passed to each call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.candidates import Surge
from schemas.watchlist import Brand

_OLD_MS = 0


def greet(first_seen_ms: Mapping[str, int] | None, brands: Sequence[Brand], tick_ms: int) -> dict[str, int]:
    """Since when each brand is watched; None: this is the first call. Who left the watchlist is new again when it comes back."""
    if first_seen_ms is None:
        return {brand.id: _OLD_MS for brand in brands}
    return {brand.id: first_seen_ms.get(brand.id, tick_ms) for brand in brands}


def is_new(first_seen_ms: Mapping[str, int] | None, term: str, tick_ms: int, new_brand_ms: int) -> bool:
    """Whether the term is a brand whose past is not known yet."""
    kind, _, brand = term.partition(":")
    since_ms = (first_seen_ms or {}).get(brand, _OLD_MS) if kind == "brand" else _OLD_MS
    return since_ms > _OLD_MS and tick_ms - since_ms < new_brand_ms


def pace(surge: Surge) -> float:
    """Events per ms."""
    return surge.observed / surge.scale_ms
