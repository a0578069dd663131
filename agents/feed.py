"""The demo feed: seeded social events that look like real ones, with a plan of what is hidden in them.

Same seed and same calls, same records. Ordinary talk drifts and is over-dispersed, but nothing surges in it; whatever surges
was planted and is in `plan`. No clock here: the caller says which stretch of log time it wants.
"""

from __future__ import annotations

import heapq
from itertools import cycle
from random import Random
from typing import NamedTuple

import msgspec
import orjson

from agents.feed_broken import broken_value
from agents.feed_noise import Drift, author_clock, poisson, resend_delay_ms
from agents.feed_people import Author, Zipf, account_created_ms, invent_author, post_id, post_url
from agents.feed_plan import Plan, Planted, flood_rate, moment_rate, plan_flood, plan_moment, scenario_tags, words_of
from agents.feed_scenarios import SCENARIOS, Flood, Scenario
from agents.feed_text import Draft, Talk
from agents.feed_words import WORDS

# Shares of all ordinary records, near what Bluesky's firehose holds once likes are taken out.
_SHARES = {"post": 0.55, "brand": 0.08, "reply": 0.18, "repost": 0.12, "quote": 0.03, "edit": 0.01, "delete": 0.02, "broken": 0.004}
_DUPLICATE_SHARE = 0.02
_AUTHORS = 20_000
_REMEMBERED_POSTS = 3_000  # that can be answered, reposted, edited or deleted
_UNKNOWN_AUTHOR_SHARE = 0.03
_BROKEN_KEY = b"broken-"


class FeedRecord(NamedTuple):
    """One record for the raw topic."""

    key: bytes
    value: bytes
    timestamp_ms: int


class _Post(NamedTuple):
    id: str
    author: Author
    text: str
    lang: str
    community: str


class _Script(NamedTuple):
    planted: Planted
    scenario: Scenario | Flood
    place: str
    accounts: tuple[Author, ...]
    posts: list[_Post]


class Feed:
    """Records of any stretch of log time, in order; each stretch starts where the last one ended."""

    def __init__(self, seed: int, rate_per_s: float) -> None:
        self.plan = Plan()
        self.rate_per_s = rate_per_s
        self._rng = Random(seed)  # noqa: S311 - repeatable is what it must be, not secret
        self._talk = Talk(self._rng)
        self._authors = [invent_author(self._rng, int(200_000 / (rank + 10)) + 30) for rank in range(_AUTHORS)]
        self._author_rank = Zipf(_AUTHORS, 0.7)
        self._posts: list[_Post] = []
        self._fresh: list[_Post] = []  # of this step: nobody has read them yet
        self._scripts: list[_Script] = []
        self._resends: list[tuple[int, int, FeedRecord]] = []
        self._number = 0
        self._drift = Drift(self._rng, len(WORDS.topics))
        self._scenarios = cycle(self._rng.sample(SCENARIOS.scenarios, len(SCENARIOS.scenarios)))
        self._floods = cycle(self._rng.sample(SCENARIOS.floods, len(SCENARIOS.floods)))
        self._places = cycle(self._rng.sample(WORDS.places, len(WORDS.places)))
        self._usual = words_of(msgspec.json.encode((WORDS, SCENARIOS.brand_talk)).decode())

    def plant(self, start_ms: int, *, organic: bool) -> Planted:
        """The next moment (or flood) starts at `start_ms`."""
        place = next(self._places)
        if organic:
            scenario = next(self._scenarios)
            script = _Script(plan_moment(scenario, place, start_ms, self._usual), scenario, place, (), [])
        else:
            flood = next(self._floods)
            accounts = tuple(invent_author(self._rng, 8, age_days=2) for _ in range(flood.accounts))
            script = _Script(plan_flood(flood, start_ms, self._usual), flood, place, accounts, [])
        self._scripts.append(script)
        self.plan.planted.append(script.planted)
        return script.planted

    def step(self, start_ms: int, end_ms: int) -> list[FeedRecord]:
        """All records with timestamps in [start_ms, end_ms), sorted by time. Steps of a second or less keep the noise smooth."""
        seconds = (end_ms - start_ms) / 1000
        self._drift.advance(seconds)
        expected = self.rate_per_s * self._drift.level(start_ms) * seconds
        records = [self._ordinary(self._when(start_ms, end_ms)) for _ in range(poisson(self._rng, expected))]
        for script in self._scripts:
            records += self._scripted(script, start_ms, end_ms)
        self._scripts = [script for script in self._scripts if script.planted.end_ms > end_ms]
        self._remember()
        self._plan_resends(records)
        while self._resends and self._resends[0][0] < end_ms:
            due_ms, _, record = heapq.heappop(self._resends)
            records.append(record._replace(timestamp_ms=max(start_ms, due_ms)))
            self.plan.duplicates += 1
        records.sort(key=lambda record: record.timestamp_ms)
        self.plan.records += len(records)
        return records

    def _ordinary(self, at_ms: int) -> FeedRecord:
        kind = self._rng.choices(list(_SHARES), list(_SHARES.values()))[0]
        if kind == "broken":
            reason, value = broken_value(self._rng, f"broken-{self._next_number()}")
            self.plan.dead_letters[reason] += 1
            return FeedRecord(_BROKEN_KEY + str(self._number).encode(), value, at_ms)
        if kind in ("edit", "delete") and len(self._posts) > 100:
            return self._change(kind, at_ms)
        author = self._authors[self._author_rank.pick(self._rng)]
        if kind in ("reply", "repost", "quote") and self._posts:
            target = self._recent(self._posts)
            return self._answer(kind, target, self._someone_on(target.author.platform), at_ms)
        draft = self._talk.about_brand() if kind == "brand" else self._talk.ordinary(self._drift.topics)
        community = (
            draft.topic.community if author.platform == "reddit" else author.instance if author.platform == "mastodon" else ""
        )
        post = self._write(draft, author, community, at_ms)
        self._fresh.append(post)
        return self._record(post, at_ms, {})

    def _scripted(self, script: _Script, start_ms: int, end_ms: int) -> list[FeedRecord]:
        rate = moment_rate if isinstance(script.scenario, Scenario) else flood_rate
        expected = rate((start_ms + end_ms) / 2 - script.planted.start_ms, script.scenario.peak_per_s) * (end_ms - start_ms) / 1000
        write = self._witness if isinstance(script.scenario, Scenario) else self._flooding
        return [write(script, self._when(start_ms, end_ms)) for _ in range(poisson(self._rng, expected))]

    def _witness(self, script: _Script, at_ms: int) -> FeedRecord:
        scenario = script.scenario
        assert isinstance(scenario, Scenario)
        chance = self._rng.random()
        if len(script.posts) > 5 and chance < 0.25:
            target = self._recent(script.posts)
            author = invent_author(self._rng, scenario.followers, platform=target.author.platform)
            return self._answer("repost" if chance < 0.18 else "quote", target, author, at_ms)
        author = invent_author(self._rng, scenario.followers, platform="reddit" if scenario.community else "")
        draft = self._talk.about_moment(scenario, script.place, scenario_tags(scenario, script.place))
        post = self._write(draft, author, scenario.community or (author.instance if author.platform == "mastodon" else ""), at_ms)
        answered = next((post for post in reversed(script.posts) if post.author.platform == author.platform), None)
        script.posts.append(post)
        self._fresh.append(post)
        return self._record(post, at_ms, {"reply_to": answered.id} if answered and chance > 0.85 else {})

    def _flooding(self, script: _Script, at_ms: int) -> FeedRecord:
        """Nobody answers or repeats a bot."""
        flood = script.scenario
        assert isinstance(flood, Flood)
        text = f"{self._rng.choice(flood.texts)} {self._rng.choice('🔥🚀💯🎁')}{self._rng.randrange(1000)}"
        post = self._write(Draft(text, "en", WORDS.topics[0]), self._rng.choice(script.accounts), "", at_ms)
        return self._record(post, at_ms, {})

    def _write(self, draft: Draft, author: Author, community: str, at_ms: int) -> _Post:
        text = " ".join([draft.text, *(f"#{tag}" for tag in draft.tags), *([draft.link] if draft.link else [])])
        return _Post(post_id(author, self._next_number(), at_ms), author, text, draft.lang, community)

    def _answer(self, kind: str, target: _Post, author: Author, at_ms: int) -> FeedRecord:
        """A repost carries the text it repeats, as X and Mastodon send it; a reply or a quote has words of its own."""
        own = target.text if kind == "repost" else self._talk.reply(target.lang)
        text = f"{own} {target.text}" if kind == "quote" else own
        draft = Draft(text, target.lang, WORDS.topics[0])
        post = self._write(draft, author, target.community if author.platform == "reddit" else "", at_ms)
        return self._record(post, at_ms, {f"{kind}_{'to' if kind == 'reply' else 'of'}": target.id})

    def _change(self, kind: str, at_ms: int) -> FeedRecord:
        post = self._posts.pop(self._rng.randrange(len(self._posts)))
        event: dict[str, object] = {"id": f"{post.id}#{kind}", "kind": kind, "platform": post.author.platform, "post_id": post.id}
        event["created_ms"] = author_clock(self._rng, at_ms)
        if kind == "edit":
            event |= {"author": post.author.id, "text": f"{post.text} (edited)", "lang": post.lang}
            self.plan.edits += 1
        else:
            self.plan.deletes += 1
        return FeedRecord(post.id.encode(), orjson.dumps(event), at_ms)

    def _record(self, post: _Post, at_ms: int, extra: dict[str, str]) -> FeedRecord:
        author = post.author
        event: dict[str, object] = {
            "platform": author.platform,
            "id": post.id,
            "created_ms": author_clock(self._rng, at_ms),
            "text": post.text,
        }
        event |= {"lang": post.lang, "url": post_url(author, post.id, post.community), **extra}
        if self._rng.random() >= _UNKNOWN_AUTHOR_SHARE:
            event |= {"author": author.id, "followers": author.followers}
            event["author_created_ms"] = account_created_ms(author, at_ms)
        if post.community:
            event["community"] = post.community
        return FeedRecord(post.id.encode(), orjson.dumps(event), at_ms)

    def _plan_resends(self, records: list[FeedRecord]) -> None:
        for record in records:
            if self._rng.random() < _DUPLICATE_SHARE and _is_event(record):
                due_ms = record.timestamp_ms + resend_delay_ms(self._rng)
                heapq.heappush(self._resends, (due_ms, self._next_number(), record))

    def _remember(self) -> None:
        self._posts += self._fresh
        self._fresh.clear()
        if len(self._posts) > 2 * _REMEMBERED_POSTS:
            del self._posts[:_REMEMBERED_POSTS]

    def _someone_on(self, platform: str) -> Author:
        """People answer on the platform they read; the chance that 40 picks miss it is one in seventy for the smallest."""
        for _ in range(40):
            author = self._authors[self._author_rank.pick(self._rng)]
            if author.platform == platform:
                break
        return author

    def _recent(self, posts: list[_Post]) -> _Post:
        return posts[-1 - min(int(self._rng.expovariate(1 / 300)), len(posts) - 1)]

    def _when(self, start_ms: int, end_ms: int) -> int:
        return self._rng.randrange(start_ms, end_ms)

    def _next_number(self) -> int:
        self._number += 1
        return self._number


def _is_event(record: FeedRecord) -> bool:
    return not record.key.startswith(_BROKEN_KEY)
