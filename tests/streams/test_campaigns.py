"""How many planted campaigns are found and how many genuine crowds are blamed, over seeds; see `campaigns.py` for both."""

from __future__ import annotations

import pytest

from tests.streams.campaigns import GENUINE, campaign, genuine
from tests.streams.planted import told_of
from tests.streams.test_organic import verdict

SEEDS = {5: 20, 50: 20, 500: 8}  # by accounts; big ones take longer to make


@pytest.mark.parametrize("accounts", SEEDS)
@pytest.mark.parametrize("kind", ["identical", "templated", "new accounts"])
@pytest.mark.parametrize(("noise", "least"), [(0.0, 1.0), (0.1, 1.0), (0.3, 0.9), (0.5, 0.6)])
def test_campaigns_are_found_though_genuine_posts_are_among_them(kind: str, accounts: int, noise: float, least: float) -> None:
    seeds = SEEDS[accounts]
    found = sum(not verdict(campaign(kind, accounts, max(accounts, 40), noise, seed)).organic for seed in range(seeds))
    assert found >= least * seeds


@pytest.mark.parametrize("posts", [12, 40, 200])
@pytest.mark.parametrize("kind", GENUINE)
def test_genuine_crowds_are_not_blamed(kind: str, posts: int) -> None:
    blamed = sum(not verdict(genuine(kind, posts, seed)).organic for seed in range(20))
    assert blamed <= 1


@pytest.mark.parametrize(("kind", "accounts"), [("templated", 5), ("templated", 50), ("identical", 500), ("new accounts", 50)])
def test_a_campaign_in_the_stream_is_reported_as_inorganic(kind: str, accounts: int) -> None:
    told = told_of(campaign(kind, accounts, max(accounts, 60), 0.3, 1), "hashtag:win")
    assert [moment.status for moment in told if moment.status != "updated"] == ["opened", "closed"]
    assert not told[-1].organic
    assert told[-1].severity <= 3


@pytest.mark.parametrize(("kind", "term"), [("cheers", "hashtag:final"), ("reposts and talk", "keyword:harbour")])
def test_a_crowd_in_the_stream_is_a_moment(kind: str, term: str) -> None:
    told = told_of(genuine(kind, 120, 1), term)
    assert told
    assert all(moment.organic for moment in told)
