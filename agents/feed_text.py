"""What people write in the demo feed: ordinary talk, talk about brands, and each in their own words about a planted moment."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from agents.feed_people import Zipf, invent_name
from agents.feed_scenarios import SCENARIOS, BrandTalk, Scenario
from agents.feed_words import WORDS, Topic

TAIL_NAMES = 3_000
TAIL_TAGS = 2_000
_SPACELESS = frozenset({"ja"})
_LOOK_ALIKE_SHARE = 0.004


class Draft(NamedTuple):
    """A text before anybody posted it."""

    text: str
    lang: str
    topic: Topic
    tags: tuple[str, ...] = ()
    link: str = ""


class Talk:
    """Writes texts from a seeded generator; same seed, same texts."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._names = [invent_name(rng, 2).title() + " " + invent_name(rng, 3).title() for _ in range(TAIL_NAMES)]
        self._tags = [invent_name(rng, rng.randint(2, 4)) for _ in range(TAIL_TAGS)]
        self._name_rank, self._tag_rank = Zipf(TAIL_NAMES, 0.9), Zipf(TAIL_TAGS, 1.0)
        self._languages = list(WORDS.languages)
        self._shares = [language.share for language in WORDS.languages.values()]
        self._brands = list(SCENARIOS.brand_talk.values())
        self._topic_shares = [1 / (rank + 1) ** 0.6 for rank in range(len(WORDS.topics))]

    def ordinary(self, drift: list[float]) -> Draft:
        """A post about one of the topics; `drift` is how popular each is at the moment, around 1."""
        rng = self._rng
        lang = rng.choices(self._languages, self._shares)[0]
        weights = [share * factor for share, factor in zip(self._topic_shares, drift, strict=True)]
        topic = rng.choices(WORDS.topics, weights)[0]
        if lang == "en" and rng.random() < _LOOK_ALIKE_SHARE:
            return Draft(self._fill(rng.choice(SCENARIOS.look_alikes), lang, topic), lang, topic)
        words = WORDS.languages[lang]
        opener = rng.choice(words.openers) if rng.random() < 0.3 else ""
        body = self._fill(rng.choice(words.templates), lang, topic)
        closer = rng.choice(words.closers)
        stop = "." if closer[:1].isalpha() and body[-1:].isalnum() and lang != "ja" else ""
        text = _join(lang, opener, body + stop, closer)
        return Draft(text, lang, topic, self._some_tags(topic), self._some_link())

    def about_brand(self, mood_shift: float = 0.0) -> Draft:
        """A post that names one of the demo brands, mostly in its usual mood."""
        rng = self._rng
        talk = rng.choices(self._brands, [brand.weight for brand in self._brands])[0]
        mood = rng.gauss(talk.mood + mood_shift, 0.6)
        kind = "positive" if mood > 0.45 else "negative" if mood < -0.45 else "neutral"
        lang = rng.choices(self._languages, self._shares)[0]
        topic = rng.choice(WORDS.topics)
        template = rng.choice(WORDS.brand_talk[kind].get(lang) or WORDS.brand_talk[kind]["en"])
        text = self._fill(template, lang, topic, talk)
        return Draft(text, lang, topic, self._some_tags(topic) if rng.random() < 0.2 else ())

    def about_moment(self, scenario: Scenario, place: str, tags: tuple[str, ...]) -> Draft:
        """A post about the scenario: one piece of each part, and a hashtag most of the time."""
        rng = self._rng
        lang = rng.choices(list(scenario.share), list(scenario.share.values()))[0]
        pieces = [rng.choice(part) for part in scenario.parts[lang]]
        text = _join(lang, *pieces).format(place=place, n=rng.randint(3, 180))
        shown = tags[:1] if rng.random() < 0.7 else rng.sample(tags, 1) if rng.random() < 0.5 else ()
        return Draft(
            text, lang, WORDS.topics[0], tuple(shown), f"https://{rng.choice(WORDS.outlets)}" if rng.random() < 0.05 else ""
        )

    def reply(self, lang: str) -> str:
        """A short answer to anything."""
        words = WORDS.languages.get(lang) or WORDS.languages["en"]
        topic = self._rng.choice(WORDS.topics)
        return _join(lang, self._rng.choice(words.openers), self._fill(self._rng.choice(words.templates), lang, topic))

    def _fill(self, template: str, lang: str, topic: Topic, talk: BrandTalk | None = None) -> str:
        rng, words = self._rng, WORDS.languages[lang]
        return template.format(
            thing=rng.choice(topic.things[lang]),
            adj=rng.choice(words.adjectives),
            when=rng.choice(words.times),
            place=rng.choice(WORDS.places),
            name=self._names[self._name_rank.pick(rng)],
            alias=rng.choice(talk.aliases) if talk else "",
            context=rng.choice(talk.contexts.get(lang) or talk.contexts[""]) if talk else "",
            good=rng.choice(WORDS.good),
            bad=rng.choice(WORDS.bad),
        )

    def _some_tags(self, topic: Topic) -> tuple[str, ...]:
        rng = self._rng
        if rng.random() > 0.35:
            return ()
        tail = self._tags[self._tag_rank.pick(rng)]
        own = rng.choice(topic.tags)
        return (own, tail) if rng.random() < 0.3 else (own,) if rng.random() < 0.6 else (tail,)

    def _some_link(self) -> str:
        rng = self._rng
        return f"https://{rng.choice(WORDS.outlets)}/{invent_name(rng, 2)}-{rng.randrange(10_000)}" if rng.random() < 0.12 else ""


def _join(lang: str, *pieces: str) -> str:
    return ("" if lang in _SPACELESS else " ").join(piece for piece in pieces if piece)
