"""Planted campaigns and genuine crowds, by seed: what the verdict on floods is measured with."""

from __future__ import annotations

import random
from collections.abc import Callable

from schemas.events import Event
from streams.organic import DAY_MS
from tests.streams.crowds import START_MS, post, talk

NOISE_FROM = 100_000  # ids of genuine posts beside a campaign

_SPINS = (
    ("hey", "wow", "omg", "listen up", "psst", "look", "guys", "hello friends"),
    ("get", "grab", "claim", "win", "take"),
    ("your free", "a brand new", "the latest", "your own", "a shiny"),
    ("phone", "tablet", "console", "voucher", "headset"),
)
_EMOJI = "🎉🔥💯🙌✨🎁📱🚀"
_CHEERS = (
    "GOAL!!! #final",
    "what a goal #final",
    "yesss come on #final",
    "unbelievable scenes #final",
    "get in!!!! #final",
    "best final ever #final",
    "goooooal #final 🔥",
    "love this team #final",
    "we are the champions #final",
    "crying right now #final",
)


def identical(chance: random.Random) -> str:
    """One text, again and again."""
    return "get your free phone from the megashop giveaway before midnight #win"


def templated(chance: random.Random) -> str:
    """One sentence with other words, handles, emoji and links each time."""
    hello, verb, article, thing = (chance.choice(words) for words in _SPINS)
    emoji = "".join(chance.choices(_EMOJI, k=chance.randrange(4)))
    return (
        f"{hello} @user{chance.randrange(9_999)} {verb} {article} {thing} {emoji} from the megashop giveaway before midnight, "
        f"retweet and follow to enter {chance.randrange(99)} https://win.example/{chance.getrandbits(30):x} #win"
    )


TEXTS: dict[str, Callable[[random.Random], str]] = {"identical": identical, "templated": templated}


def campaign(kind: str, accounts: int, posts: int, noise: float, seed: int, of: str = "#win") -> list[Event]:
    """`posts` posts by so many accounts, of which a share `noise` are genuine ones of other people about the same."""
    chance = random.Random(f"{kind}/{accounts}/{seed}")
    genuine = sum(chance.random() < noise for _ in range(posts))
    people = talk(of, genuine, NOISE_FROM * (seed + 1), author_created_ms=START_MS - 900 * DAY_MS, followers=150)
    first = 1_000_000 * (seed + 1)
    fake = [f"bot-{seed}-{i % accounts}" for i in range(posts - genuine)]
    if kind == "new accounts":
        said = talk(of, posts - genuine, first, authors=fake, author_created_ms=START_MS - 2 * DAY_MS, followers=1)
    else:
        said = [post(first + i, TEXTS[kind](chance), author) for i, author in enumerate(fake)]
    return [*said, *people]


def genuine(kind: str, posts: int, seed: int) -> list[Event]:
    """A crowd that nobody pays."""
    chance = random.Random(f"{kind}/{seed}")
    first, old = 1_000_000 * (seed + 1), START_MS - 900 * DAY_MS
    people = [f"person-{seed}-{i}" for i in range(posts)]
    original = f"smoke over the harbour, the whole pier number {seed} is burning, stay away from the bridge"
    if kind == "talk":
        return talk("#final", posts, first, author_created_ms=old, followers=90)
    if kind == "cheers":
        return [post(first + i, chance.choice(_CHEERS), who) for i, who in enumerate(people)]
    if kind == "reposts":
        return [post(first + i, original, who, kind="repost", target_id=str(seed)) for i, who in enumerate(people)]
    if kind == "reposts by hand":
        return [post(first + i, f"RT @witness: {original}", who) for i, who in enumerate(people)]
    mixed = posts * 7 // 10
    return [*genuine("reposts", mixed, seed), *genuine("talk", posts - mixed, seed + 1_000)]


GENUINE = ("talk", "cheers", "reposts", "reposts by hand", "reposts and talk")
