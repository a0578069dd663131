"""What the demo feed plants: brands that are watched, moments that must be found, floods that must be seen through."""

from __future__ import annotations

from pathlib import Path

import msgspec

from schemas.watchlist import Brand

DEMO_BRANDS: tuple[Brand, ...] = (
    Brand(
        id="nimbus-air",
        name="Nimbus Air",
        aliases=("Nimbus Air", "nimbus"),
        handles=("nimbusair",),
        hashtags=("nimbusair", "flynimbus"),
        exclude=("cumulonimbus", "nimbus clouds"),
        context=("air", "airport", "flight", "cabin", "boarding", "luggage"),
        sensitivity="high",
    ),
    Brand(id="voltara", name="Voltara Motors", aliases=("voltara",), handles=("voltara",), hashtags=("voltara",)),
    Brand(id="brightcup", name="Brightcup Coffee", aliases=("brightcup",), handles=("brightcup",), hashtags=("brightcup",)),
    Brand(
        id="kestrel",
        name="Kestrel Phones",
        aliases=("kestrel",),
        handles=("kestrelphones",),
        hashtags=("kestrelphone",),
        exclude=("bird", "falcon"),
        context=("phone", "camera", "screen", "battery", "foldable"),
    ),
    Brand(id="lumen-arena", name="Lumen Arena", aliases=("lumen arena",), handles=("lumenarena",), hashtags=("lumenarena",)),
)
"""The demo's watchlist: plain names, an ambiguous one that needs context, an airline that is also a cloud."""


class Scenario(msgspec.Struct, frozen=True):
    """A moment: many people, each in their own words. A text takes one piece of every part; `{place}` is the same for all."""

    name: str
    brand: str
    tags: tuple[str, ...]
    community: str  # empty: everywhere
    peak_per_s: float
    followers: int  # median of those who post
    share: dict[str, float]  # of languages
    parts: dict[str, tuple[tuple[str, ...], ...]]


class Flood(msgspec.Struct, frozen=True):
    """Few accounts, one text."""

    name: str
    brand: str
    tags: tuple[str, ...]
    texts: tuple[str, ...]
    accounts: int
    peak_per_s: float


class BrandTalk(msgspec.Struct, frozen=True):
    """How people usually talk about a brand."""

    weight: float  # share of all ordinary brand posts
    mood: float  # -1..1, mean of ordinary talk
    aliases: tuple[str, ...]
    contexts: dict[str, tuple[str, ...]]  # by language, "" for all others


class Scenarios(msgspec.Struct, frozen=True):
    """All of `feed_scenarios.json`."""

    scenarios: tuple[Scenario, ...]
    floods: tuple[Flood, ...]
    brand_talk: dict[str, BrandTalk]
    look_alikes: tuple[str, ...]  # texts that hold a brand's name and do not mean it


SCENARIOS = msgspec.json.decode(Path(__file__).with_name("feed_scenarios.json").read_bytes(), type=Scenarios)
