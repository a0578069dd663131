"""Floods are blamed with their evidence, crowds are not, whatever their size and manners."""

from __future__ import annotations

import random

import pytest

from schemas.events import Event
from streams.organic import DAY_MS, Crowd, OrganicParams, Verdict, judge
from tests.streams.crowds import START_MS, digests, post, ref_of, talk

PARAMS = OrganicParams()
GREETINGS = ("hey", "wow", "hello friends", "omg", "listen", "psst", "guys", "look here")


def verdict(events: list[Event], *, blamed: bool = False, sampled: int = 32) -> Verdict:
    """The verdict on a surge of these posts, seen through a bottom-k sample as detect makes it."""
    crowd = Crowd(len(events), len({e.author for e in events if e.author}), sum(not e.author for e in events))
    sample = sorted(events, key=ref_of)[:sampled]
    return judge(digests(sample), crowd, PARAMS, blamed=blamed)


def campaign(accounts: int, posts: int) -> list[Event]:
    """One template with another greeting, number, handle and link each time."""
    chance = random.Random(accounts)
    return [
        post(
            i,
            f"{chance.choice(GREETINGS)} @user{chance.randrange(999)} get your free phone {chance.randrange(99)} from the megashop "
            f"giveaway before midnight https://win.example/{chance.getrandbits(30):x} #win",
            f"bot-{i % accounts}",
        )
        for i in range(posts)
    ]


@pytest.mark.parametrize("accounts", [5, 50, 500])
def test_a_campaign_of_copies_is_blamed_whatever_the_number_of_accounts(accounts: int) -> None:
    found = verdict(campaign(accounts, max(2 * accounts, 20)))
    assert "flood_copies" in found.reasons
    assert found.share < 0.3
    assert "near-identical copies (“" in found.evidence[found.reasons.index("flood_copies")]


def test_a_genuine_crowd_is_organic_and_so_is_every_post_of_it() -> None:
    assert verdict(talk("#harbourfire", 300)) == Verdict()


def test_a_genuine_surge_of_reposts_is_a_cascade_and_no_flood() -> None:
    original = post(0, "smoke over the harbour, the whole pier is burning, stay away from the bridge", "witness")
    reposts = [post(i, original.text, f"person-{i}", kind="repost", target_id="0") for i in range(1, 200)]
    assert verdict([original, *reposts, *talk("harbour fire", 20, 500)]).organic


def test_reposts_by_hand_are_no_copies_either() -> None:
    text = "RT @witness: smoke over the harbour, the whole pier is burning, stay away"
    assert verdict([post(i, text, f"person-{i}") for i in range(60)]).organic


def test_one_account_that_sends_most_is_named() -> None:
    found = verdict(talk("#win", 20, authors=["loud"]) + talk("#win", 12, 100))
    assert found.reasons == ("flood_accounts",)
    assert found.evidence == ("20 of 32 sampled posts are by one account",)
    assert found.share == pytest.approx(12 / 32, abs=0.001)


def test_five_accounts_with_different_texts_are_few_accounts() -> None:
    found = verdict(talk("#win", 100, authors=["a", "b", "c", "d", "e"]))
    assert found.reasons == ("flood_accounts",)
    assert found.evidence == ("32 sampled posts are by only 5 accounts",)


def test_a_few_busy_accounts_in_a_crowd_are_blamed_whatever_they_write() -> None:
    found = verdict(talk("#win", 16, authors=["a", "b", "c", "d"]) + talk("#win", 16, 100))
    assert found.reasons == ("flood_accounts",)
    assert found.evidence == ("16 of 32 sampled posts are by 4 accounts posting again and again",)


def test_few_accounts_show_in_the_counts_even_if_no_post_can_be_read() -> None:
    found = judge((), Crowd(events=100, authors=5, unknown_authors=0), PARAMS)
    assert found == Verdict(("flood_accounts",), ("100 posts are by only 5 accounts",), 1.0)


def test_fans_who_post_all_evening_are_still_many() -> None:
    assert verdict(talk("#final", 2_000, authors=[f"fan-{i}" for i in range(200)])).organic


def test_unknown_authors_are_not_one_person() -> None:
    assert verdict(talk("#harbourfire", 100, authors=[])).organic


def test_the_same_short_exclamation_by_many_is_no_copy() -> None:
    assert verdict([post(i, "GOAL!!! #final", f"fan-{i}") for i in range(60)]).organic


def test_new_accounts_that_nobody_follows_are_blamed() -> None:
    young = talk("#win", 40, author_created_ms=START_MS - 3 * DAY_MS, followers=1)
    assert verdict(young).reasons == ("flood_new_accounts",)


def test_old_accounts_with_followers_are_not() -> None:
    assert verdict(talk("#win", 40, author_created_ms=START_MS - 900 * DAY_MS, followers=120)).organic


def test_unknown_age_counts_neither_way() -> None:
    young = talk("#win", 7, author_created_ms=START_MS - DAY_MS, followers=0)
    assert verdict([*young, *talk("#win", 25, 100)]).organic


def test_once_blamed_it_takes_more_to_be_believed() -> None:
    copies, own = campaign(500, 10), talk("#win", 22, 1_000)
    assert verdict([*copies, *own]).organic
    assert not verdict([*copies, *own], blamed=True).organic


def test_too_few_posts_are_no_evidence() -> None:
    assert verdict(campaign(3, 3)).organic
    assert verdict([*campaign(3, 3), *talk("#win", 1, 100)]).organic
    assert not verdict(campaign(4, 4)).organic


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        OrganicParams(copies_share=1.5)
    with pytest.raises(ValueError, match="one post is no evidence"):
        OrganicParams(min_copies=1)
