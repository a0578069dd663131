"""Brands put on the topic are there for everybody, and a few words are enough to say one."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer

from agents.settings import Settings
from agents.topics import apply_topics
from agents.watchlist import brand_of, distinct, parse_watchlist, read_watchlist, slug, write_watchlist
from schemas.errors import ConfigurationError
from schemas.watchlist import Brand, decode_brand, encode_brand


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (Brand(id="explosion"), "explosion"),
        (Brand(id="explosion", name="Explosion", aliases=("Explosion",)), "Explosion"),
        (Brand(id="two-words", name="two words", aliases=("two words",)), "  two   words "),
        (Brand(id="bostonmarathon", hashtags=("BostonMarathon",)), "#BostonMarathon"),
        (Brand(id="acme.inc", handles=("acme.inc",)), "@acme.inc"),
        (Brand(id="zurich", name="Zürich", aliases=("Zürich",)), "Zürich"),
    ],
)
def test_a_brand_is_what_a_few_words_mean(expected: Brand, words: str) -> None:
    assert brand_of(words) == expected


@pytest.mark.parametrize("words", ["東京", "Москва", "#ميلان", "🚀", "a" * 300, "Ω", "--", "日本 2020"])
def test_every_word_gets_an_id_that_a_watchlist_takes(words: str) -> None:
    brand = brand_of(words)
    assert decode_brand(encode_brand(brand)) == brand


def test_names_in_other_scripts_do_not_share_an_id() -> None:
    assert len({slug("東京 2020"), slug("大阪 2020"), slug("2020")}) == 3


@pytest.mark.parametrize("words", ["", " ", "#", "@ "])
def test_nothing_is_no_brand(words: str) -> None:
    with pytest.raises(ConfigurationError, match="nothing to watch for"):
        brand_of(words)


@pytest.mark.parametrize(
    "data",
    [
        b'[{"id":"a"},{"id":"b","hashtags":["x"]}]',
        b'{"id":"a"}\n\n{"id":"b","hashtags":["x"]}\n',
        b'\n {"id":"a"}\r\n{"id":"b","hashtags":["x"]}',
    ],
)
def test_a_watchlist_file_is_an_array_or_lines(data: bytes) -> None:
    assert parse_watchlist(data) == (Brand(id="a"), Brand(id="b", hashtags=("x",)))


def test_a_watchlist_file_may_hold_plain_words() -> None:
    assert parse_watchlist(b"// what happened\nexplosion\n\n#boston\nBoston Marathon\n") == (
        Brand(id="explosion"),
        Brand(id="boston", hashtags=("boston",)),
        Brand(id="boston-marathon", name="Boston Marathon", aliases=("Boston Marathon",)),
    )


@pytest.mark.parametrize("data", [b"[{", b'[{"id": 5}]', b'{"name":"x"}', b"\xff\xfe", b'{"id":"UPPER"}', b"boston\n#boston\n"])
def test_a_watchlist_that_is_none_says_what_is_wrong(data: bytes) -> None:
    with pytest.raises(ConfigurationError):
        parse_watchlist(data)


def test_two_brands_with_one_id_are_refused_instead_of_one_replacing_the_other() -> None:
    with pytest.raises(ConfigurationError, match="'boston' twice"):
        distinct([brand_of("boston"), brand_of("#boston")])


@pytest.mark.integration
async def test_what_is_put_is_read_and_the_newest_counts(deployment: Settings) -> None:
    await apply_topics(deployment)
    assert await read_watchlist(deployment) == {}
    await write_watchlist(deployment, {"a": Brand(id="a"), "b": Brand(id="b")})
    await write_watchlist(deployment, {"a": Brand(id="a", aliases=("Acme",)), "b": None, "c": None})
    assert await read_watchlist(deployment) == {"a": Brand(id="a", aliases=("Acme",))}


@pytest.mark.integration
async def test_a_record_that_is_no_brand_hides_no_other(deployment: Settings) -> None:
    await apply_topics(deployment)
    await write_watchlist(deployment, {"a": Brand(id="a")})
    producer = AIOKafkaProducer(bootstrap_servers=deployment.kafka)
    await producer.start()
    await producer.send_and_wait(deployment.topics.watchlist, b"{}", key=b"bad")
    await producer.send_and_wait(deployment.topics.watchlist, b"nonsense", key=b"worse")
    await producer.stop()
    assert await read_watchlist(deployment) == {"a": Brand(id="a")}


@pytest.mark.integration
async def test_without_its_topic_the_watchlist_says_what_to_run(deployment: Settings) -> None:
    with pytest.raises(ConfigurationError, match="drumbeat topics apply"):
        await read_watchlist(deployment)
    with pytest.raises(ConfigurationError, match="drumbeat topics apply"):
        await write_watchlist(deployment, {"a": Brand(id="a")})


@pytest.mark.integration
async def test_brands_that_arrived_in_one_batch_are_all_read(deployment: Settings) -> None:
    await apply_topics(deployment)
    producer = AIOKafkaProducer(bootstrap_servers=deployment.kafka, linger_ms=200)
    await producer.start()
    sent = [await producer.send(deployment.topics.watchlist, encode_brand(Brand(id=f"b{i}")), key=b"b%d" % i) for i in range(50)]
    for one in sent:
        await one
    await producer.stop()
    assert len(await read_watchlist(deployment)) == 50
