"""The watchlist on its compacted topic: what is put is there for every worker within seconds, the newest record of an id counts."""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.admin import admin_client, topic_states, unreachable
from agents.settings import Settings
from agents.tail import KeyValue, tail
from schemas.errors import ConfigurationError
from schemas.watchlist import Brand, decode_brand, encode_brand, load_watchlist

MAX_ID_CHARS = 64
_log = logging.getLogger(__name__)


async def read_watchlist(settings: Settings) -> dict[str, Brand]:
    """Every brand on the topic as of now, by id. A record that is no brand is logged and left out."""
    brands: dict[str, Brand] = {}
    async for record in tail(settings, settings.topics.watchlist, beginning=True, follow=False):
        _take(brands, record)
    return brands


async def write_watchlist(settings: Settings, changes: Mapping[str, Brand | None]) -> None:
    """The brands are put, and ids with None removed, acknowledged by all replicas."""
    await _require_topic(settings)
    producer = AIOKafkaProducer(**settings.kafka_options(), acks="all")
    try:
        await producer.start()
        for brand_id, brand in changes.items():
            value = None if brand is None else encode_brand(brand)
            await producer.send_and_wait(settings.topics.watchlist, value, key=brand_id.encode())
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from error
    finally:
        await producer.stop()


def brand_of(words: str) -> Brand:
    """The brand that a person means by a few words: `#tag`, `@handle`, a phrase or an id.

    >>> brand_of("#BostonMarathon")
    Brand(id='bostonmarathon', hashtags=('BostonMarathon',))
    >>> brand_of("Air France")
    Brand(id='air-france', name='Air France', aliases=('Air France',))
    >>> brand_of("explosion")
    Brand(id='explosion')
    """
    text = " ".join(words.split())
    bare = text.lstrip("#@").strip()
    if not bare:
        raise ConfigurationError(f"{words!r}: nothing to watch for")
    brand_id = slug(bare)
    if text.startswith("#"):
        return Brand(id=brand_id, hashtags=(bare,))
    if text.startswith("@"):
        return Brand(id=brand_id, handles=(bare,))
    return Brand(id=brand_id) if bare == brand_id else Brand(id=brand_id, name=bare, aliases=(bare,))


def slug(text: str) -> str:
    """An id for a name: lower-case ASCII with dashes, or a short hash where nothing of that is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    letters = sum(c.isalnum() for c in text)
    found = re.sub(r"[^a-z0-9_.]+", "-", plain).strip("-._")[:MAX_ID_CHARS]
    lost = letters > sum(c.isalnum() for c in plain)  # another script: what is left does not tell names apart
    return f"w-{hashlib.blake2b(text.casefold().encode(), digest_size=5).hexdigest()}" if lost or not found else found


def parse_watchlist(data: bytes) -> tuple[Brand, ...]:
    """Brands of a file: a JSON array, one JSON object a line, or one brand a line in words, where `//` starts a remark."""
    if data.lstrip()[:1] in (b"[", b"{"):
        try:
            return load_watchlist(data)
        except ValueError as error:  # the array itself is no JSON
            raise ConfigurationError(f"watchlist is not JSON: {error}") from error
    try:
        lines = [line.strip() for line in data.decode("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ConfigurationError("watchlist is not UTF-8 text") from error
    return distinct(brand_of(line) for line in lines if line and not line.startswith("//"))


def distinct(brands: Iterable[Brand]) -> tuple[Brand, ...]:
    """The brands; raises ConfigurationError if two share an id, because the second would replace the first."""
    by_id: dict[str, Brand] = {}
    for brand in brands:
        if by_id.setdefault(brand.id, brand) is not brand:
            raise ConfigurationError(
                f"brand id {brand.id!r} twice; say both in one brand: watchlist put {brand.id} --alias … --hashtag …"
            )
    return tuple(by_id.values())


async def _require_topic(settings: Settings) -> None:
    async with admin_client(settings) as client:
        if settings.topics.watchlist not in await topic_states(client):
            raise ConfigurationError(
                f"broker {settings.kafka} has no topic {settings.topics.watchlist}; run: drumbeat topics apply"
            )


def _take(brands: dict[str, Brand], record: KeyValue) -> None:
    brand_id = (record.key or b"").decode("utf-8", "replace")
    brands.pop(brand_id, None)
    if record.value is None:
        return
    try:
        brand = decode_brand(record.value)
    except ConfigurationError as error:
        _log.warning("watchlist record %r left out: %s", brand_id, error)
        return
    brands[brand.id] = brand
