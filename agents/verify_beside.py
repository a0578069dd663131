"""Mentions, dead letters and alerts as stored, beside what the topics say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from agents.raw_recount import Origin, Recounted
from agents.recount_tally import Post, Said


class Wrong(NamedTuple):
    """One thing that is not as it should be."""

    what: str  # mention, dead letter, alert
    which: str
    says: str
    may_come: bool = False  # an agent that is behind may still put it right


@dataclass(slots=True)
class Alerts:
    """What the alert topic holds."""

    bodies: defaultdict[tuple[str, int], set[bytes]] = field(default_factory=lambda: defaultdict(set))
    is_whole: bool = True  # nothing was deleted from it yet


def wrong_mentions(found: Recounted, stored: Mapping[Post, int], is_asked: Callable[[Said], bool]) -> Iterator[Wrong]:
    """A live row for every post that names a brand and was not deleted, of its newest version; `stored`: version by post."""
    gone = found.deleted | found.more_deleted
    for post, said in sorted(found.mentions.items()):
        if post in gone or not all(map(is_asked, said | found.more_mentions.get(post, set()))):
            continue
        newest, version = max(said).version, stored.get(post)
        if version is None:
            yield Wrong("mention", _name(post), "is not stored", may_come=True)
        elif version < newest:
            yield Wrong("mention", _name(post), f"is stored as of {version}, there is a newer one of {newest}", may_come=True)
    for post, version in sorted(stored.items()):
        said = found.mentions.get(post, set()) | found.more_mentions.get(post, set())
        if post in found.deleted:
            yield Wrong("mention", _name(post), "was deleted and is stored", may_come=True)
        elif all(one.version != version for one in said):
            yield Wrong("mention", _name(post), "is stored, and the log has no such post that names a brand")


def wrong_dead_letters(found: Recounted, stored: Mapping[Origin, str], is_asked: Callable[[int], bool]) -> Iterator[Wrong]:
    """A row for every record that does not decode, with its reason."""
    for origin, letter in sorted(found.dead.items()):
        if is_asked(letter.log_ms) and origin not in stored:
            yield Wrong("dead letter", _place(origin), f"is not stored ({letter.reason})", may_come=True)
    for origin, reason in sorted(stored.items()):
        known = found.dead.get(origin, found.more_dead.get(origin))
        if known is None:
            yield Wrong("dead letter", _place(origin), f"is stored as {reason}, and the record decodes")
        elif known.reason != reason:
            yield Wrong("dead letter", _place(origin), f"is stored as {reason}, and is {known.reason}")


def wrong_alerts(told: Alerts, told_later: Alerts, stored: Mapping[tuple[str, int], bytes]) -> Iterator[Wrong]:
    """One body for every (moment id, sequence), on the topic and stored, and no sequence left out. `told_later`: told since."""
    sequences: defaultdict[str, set[int]] = defaultdict(set)
    for (moment, sequence), bodies in sorted(told.bodies.items()):
        sequences[moment].add(sequence)
        which = f"{moment}/{sequence}"
        if len(bodies | told_later.bodies.get((moment, sequence), set())) > 1:
            yield Wrong("alert", which, "has several bodies on the topic")
        if (moment, sequence) not in stored:
            yield Wrong("alert", which, "is not stored", may_come=True)
        elif stored[moment, sequence] not in bodies:
            yield Wrong("alert", which, "is stored with another body")
    for moment, seen in sorted(sequences.items()):
        ordered = [*([] if not told.is_whole else [-1]), *sorted(seen)]
        for before, after in pairwise(ordered):
            if after != before + 1:
                yield Wrong("alert", f"{moment}/{before + 1}", f"is missing on the topic, there is {after}")
    for moment, sequence in sorted(stored.keys() - told.bodies.keys() - told_later.bodies.keys()):
        if told.is_whole:
            yield Wrong("alert", f"{moment}/{sequence}", "is stored, and not on the topic")


def _name(post: Post) -> str:
    return f"{post[0]}:{post[1]}"


def _place(origin: Origin) -> str:
    topic, partition, offset = origin
    return f"{topic}/{partition}@{offset}"
