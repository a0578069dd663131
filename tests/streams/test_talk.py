"""What is usually said fades, stays bounded, and survives a restart."""

from __future__ import annotations

import msgspec

from streams.talk import MAX_TERMS, MAX_WORDS, TERM_WORDS, UsualTalk, hear, talk_of

DAY_MS = 86_400_000


def test_yesterdays_talk_counts_half() -> None:
    usual = UsualTalk()
    hear(usual, ("brand:acme",), {"delivery": 8}, 8, 0)
    hear(usual, ("brand:acme",), {"delivery": 1}, 1, DAY_MS)
    assert talk_of(usual, "brand:acme") == usual.everything.words == {"delivery": 5.0}
    assert talk_of(usual, "brand:other") == {}


def test_what_few_posts_said_is_not_yet_usual() -> None:
    usual = UsualTalk()
    assert usual.everything.share("debate") == 0.0
    hear(usual, (), {"debate": 10}, 10, 0)
    assert usual.everything.share("debate") < 0.2
    hear(usual, (), {"debate": 990}, 990, 0)
    assert usual.everything.share("debate") > 0.9


def test_words_not_heard_for_long_are_forgotten() -> None:
    usual = UsualTalk()
    hear(usual, (), {"delivery": 1}, 1, 0)
    hear(usual, (), {"recall": 1}, 1, 5 * DAY_MS)
    assert usual.everything.words == {"recall": 1.0}


def test_talk_is_bounded_and_keeps_what_is_frequent_and_recent() -> None:
    usual = UsualTalk()
    for number in range(MAX_TERMS + 10):
        hear(usual, (f"keyword:k{number}",), {f"w{number}/{i}": 1 + (i == 7) for i in range(400)}, 2, number)
    assert len(usual.everything.words) == MAX_WORDS
    assert len(usual.terms) == MAX_TERMS
    assert talk_of(usual, "keyword:k0") == {}
    last = talk_of(usual, f"keyword:k{MAX_TERMS + 9}")
    assert len(last) == TERM_WORDS
    assert last[f"w{MAX_TERMS + 9}/7"] == 2


def test_nothing_heard_changes_nothing() -> None:
    usual = UsualTalk()
    hear(usual, ("brand:acme",), {}, 0, 5)
    assert usual == UsualTalk()


def test_restored_talk_goes_on_as_if_nothing_had_happened() -> None:
    usual = UsualTalk()
    hear(usual, ("brand:b", "brand:a"), {"x": 3, "y": 1}, 3, 7)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(usual), type=UsualTalk)
    for one in (usual, again):
        hear(one, ("brand:b",), {"y": 2, "z": 1}, 2, 12_345_678)
    assert msgspec.msgpack.encode(again) == msgspec.msgpack.encode(usual)
