"""What curate remembers: surges that wait, moments that are open, moments that cool down, and what is usually said.

Bounded by CurateParams: `max_waiting` surges, `max_open` moments of `max_members` terms with MAX_REFS references each, as many
cooling ones, and the usual talk by its own module. Restored from a snapshot and continued equals uninterrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from schemas.candidates import MAX_SAMPLES, SampleRef, Surge
from schemas.moments import Moment
from schemas.watchlist import Brand, Sensitivity
from streams.comoving import ComovingParams, Footprint
from streams.explain import Explanation
from streams.newcomers import greet
from streams.organic import OrganicParams, Verdict
from streams.pulse import Pulses
from streams.severity import Scale
from streams.signals import Signal, SignalParams
from streams.talk import Talk, UsualTalk

MAX_REFS = 2 * MAX_SAMPLES  # posts of the lead term, and as many of the other terms

MAX_WORDS = 3_000
"""Words of an open moment's posts that become usual talk when it closes, the most frequent ones; 64 tweets hold fewer."""

NO_SURGE_MS = 0
"""When the surge of a member opened that is none: a signal is all there is."""

SENSITIVITY: dict[Sensitivity, float] = {"low": 2.0, "medium": 1.0, "high": 0.8}
"""By what a brand's sensitivity multiplies the score it takes to be alerted."""


@dataclass(frozen=True, slots=True)
class CurateParams:
    """What an operator may tune about moments. All durations are log time."""

    min_score: float = 6.0  # of a brand with medium sensitivity; with high, whatever detect says; so of other terms
    gather_ms: int = 0  # how long a surge waits for others of its event; those that come later join the open moment anyway
    near_ms: int = 120_000  # or two of its time scales: later, what is said alike makes no event of two; it was said before
    update_ms: int = 15_000  # between two statements about a moment
    growth: float = 1.5  # a peak so many times the one last told is news
    severity_step: int = 3  # degrees; a word that joins may make it 2
    sentiment_turn: float = 0.3
    cooldown_ms: int = 600_000  # after a moment closed, in which its terms open nothing
    new_brand_ms: int = 600_000  # in which a brand that was put on the watchlist opens nothing: its past is not known yet
    lone_score: float = 7.0  # that a single term needs which nobody watches and with which nothing else rises
    echo_score: float = 20.0  # that it takes where one post is all that is repeated, and nobody watches what it is about
    quiet_severity: int = 8  # from which it is told in the quiet hours of its brands too
    quiet_ms: int = 21_600_000  # without a word about any of its terms a moment is over
    max_open: int = 500
    max_members: int = 50
    max_waiting: int = 1_000
    max_posts: int = 1_000  # read back per call
    comoving: ComovingParams = field(default_factory=ComovingParams)
    organic: OrganicParams = field(default_factory=OrganicParams)
    signals: SignalParams = field(default_factory=SignalParams)

    def __post_init__(self) -> None:
        if self.min_score <= 0:
            raise ValueError(f"min_score must be above 0, or sensitivity could not scale it: {self.min_score}")
        if not 0 <= self.gather_ms <= 1_000:
            raise ValueError(f"gather_ms must be 0 to 1000, or alerts come too late: {self.gather_ms}")
        if self.growth <= 1 or self.severity_step < 1 or self.sentiment_turn <= 0:
            raise ValueError("growth must be above 1, severity_step at least 1, sentiment_turn above 0")
        if min(self.update_ms, self.quiet_ms) <= 0 or min(self.cooldown_ms, self.new_brand_ms, self.near_ms) < 0:
            raise ValueError("update_ms and quiet_ms must be above 0, cooldown_ms, new_brand_ms and near_ms not below 0")
        if min(self.max_open, self.max_members, self.max_waiting, self.max_posts) < 1:
            raise ValueError("max_open, max_members, max_waiting and max_posts must be at least 1")


class Waiting(msgspec.Struct):
    """A surge that belongs to no moment yet."""

    surge: Surge
    arrived_ms: int
    settled: bool = False  # looked at, and nothing to be done until detect says more about it
    usual_pace: float = 0.0  # events per ms that are no news: what a brand had while it was new


class Member(msgspec.Struct):
    """A term of an open moment; surges without their samples."""

    surge: Surge  # as last stated
    crest: Surge  # at its highest score
    peaks: dict[int, int] = {}  # by scale_ms; msgspec copies it
    active: bool = True

    @classmethod
    def of(cls, surge: Surge) -> Member:
        """The member that this surge makes."""
        member = cls(bare(surge), bare(surge))
        member.note(surge)
        return member

    def note(self, surge: Surge) -> None:
        """Takes a newer statement."""
        self.surge, self.active = bare(surge), surge.phase != "faded"
        if surge.score >= self.crest.score:
            self.crest = self.surge
        self.peaks[surge.scale_ms] = max(self.peaks.get(surge.scale_ms, 0), surge.peak, surge.observed)


def bare(surge: Surge) -> Surge:
    """The surge without its samples."""
    return msgspec.structs.replace(surge, samples=(), background=())


class OpenMoment(msgspec.Struct):
    """A moment between opening and closing; `terms` of the footprint are its members."""

    moment_id: str
    opened_ms: int
    footprint: Footprint
    members: dict[str, Member]
    lead_refs: list[SampleRef]
    other_refs: list[SampleRef]
    heard_ms: int  # last statement of detect about a member
    judged_ms: int  # last time it was seen whether there is news
    changed: bool = False  # detect said something since
    silent: bool = False  # only about muted brands: lives as any other, and nobody hears of it
    held: bool = False  # opened in the quiet hours of its brands: to be told after them if it lasts, or once it is grave
    last: Moment | None = None  # as last told
    verdict: Verdict = msgspec.field(default_factory=Verdict)
    explanation: Explanation = msgspec.field(default_factory=Explanation)
    words: dict[str, int] = {}  # of its posts, to become usual talk; msgspec copies it
    voices: int = 0  # posts that the words were counted in
    signals: dict[str, Signal] = {}  # by key, of its brands; msgspec copies it
    live: list[str] = []  # keys of those that last
    points: float = 0.0  # of its severity, the most so far

    @property
    def surges(self) -> bool:
        """Whether a term of it ever rose; if not, signals are all there is."""
        return any(member.surge.opened_ms != NO_SURGE_MS for member in self.members.values())

    @property
    def lead(self) -> str:
        """The lead term, fixed at opening."""
        return self.footprint.lead

    @property
    def refs(self) -> list[SampleRef]:
        """All sampled posts."""
        return sorted({*self.lead_refs, *self.other_refs})


class Cooling(msgspec.Struct):
    """A closed moment whose terms open nothing before `until_ms`."""

    footprint: Footprint
    until_ms: int


@dataclass(slots=True)
class Given:
    """What gave way so far at the caps."""

    waiting: int = 0  # surges forgotten
    open: int = 0  # surges that opened no moment
    cooling: int = 0  # moments that cool down no more


class _Meta(msgspec.Struct):
    format: int
    tick_ms: int


_FORMAT = 1


class CurateState:
    """State of curate; changed by `curate` only."""

    def __init__(self) -> None:
        self.tick_ms = 0
        self.waiting: dict[str, Waiting] = {}  # by term
        self.moments: dict[str, OpenMoment] = {}  # open ones, by id
        self.cooling: list[Cooling] = []
        self.usual = UsualTalk()
        self.first_seen_ms: dict[str, int] | None = None  # by brand id, None before the first call; see streams.newcomers
        self.home: dict[str, OpenMoment] = {}  # term -> the open moment it is a member of
        self.pulses = Pulses()  # of the watched brands
        self.signals: dict[str, Signal] = {}  # by key, those that last
        self.rising: list[Signal] = []  # that began with the last call
        self.scale = Scale()
        self.given_way = Given()  # not part of a snapshot

    @classmethod
    def fresh(cls, brands: Sequence[Brand]) -> CurateState:
        """The state before the first call, of a worker that starts with these brands: they are old."""
        state = cls()
        state.first_seen_ms = greet(None, brands, 0)
        return state

    def snapshot(self) -> dict[str, bytes]:
        """The state in named sections; a section that did not change keeps its bytes."""
        encode = msgspec.msgpack.encode
        return {
            "meta": encode(_Meta(_FORMAT, self.tick_ms)),
            "waiting": encode(self.waiting),
            "moments": encode(list(self.moments.values())),
            "cooling": encode(self.cooling),
            "brands": encode(self.first_seen_ms),
            "scale": encode(self.scale),
            "signals": encode((self.pulses, self.signals, self.rising)),
            "talk/everything": encode(self.usual.everything),
            "talk/terms": encode(self.usual.terms),
        }

    @classmethod
    def restore(cls, sections: Mapping[str, bytes], params: CurateParams) -> CurateState:
        """The state of `snapshot`, kept within `params` from then on; raises ValueError if another format wrote it."""
        decode = msgspec.msgpack.decode
        meta = decode(sections["meta"], type=_Meta)
        if meta.format != _FORMAT:
            raise ValueError(f"curate state has format {meta.format}, expected {_FORMAT}")
        state = cls()
        state.tick_ms = meta.tick_ms
        state.waiting = decode(sections["waiting"], type=dict[str, Waiting])
        state.moments = {moment.moment_id: moment for moment in decode(sections["moments"], type=list[OpenMoment])}
        state.cooling = decode(sections["cooling"], type=list[Cooling])
        if "brands" in sections:  # a state from before this was kept: its brands are old
            state.first_seen_ms = decode(sections["brands"], type=dict[str, int] | None)
        if "scale" in sections:  # likewise
            state.scale = decode(sections["scale"], type=Scale)
        if "signals" in sections:  # likewise: brands have no past yet
            signals = decode(sections["signals"], type=tuple[Pulses, dict[str, Signal], list[Signal]])
            state.pulses, state.signals, state.rising = signals
        state.usual.everything = decode(sections["talk/everything"], type=Talk)
        state.usual.terms = decode(sections["talk/terms"], type=dict[str, Talk])
        state.home = {term: moment for moment in state.moments.values() for term in moment.members}
        return state
