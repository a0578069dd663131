from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import frames
from schemas.candidates import MAX_SAMPLES, Surge
from streams.samples import places, references
from streams.surge_params import SurgeParams
from streams.surges import SurgeState, detect_surges

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
PARAMS = SurgeParams()
SMALL = SurgeParams(hashed_cells=64)

LISTS = ("authors", "samples")
NO_LISTS = pl.DataFrame({name: [[]] * 4_000 for name in LISTS}, schema={name: frames.TERM_ROWS[name] for name in LISTS})


def row(tick_ms: int, term: str, events: int = 1, **columns: Any) -> dict[str, Any]:
    """Events of the second before the tick, by authors of their own unless told otherwise."""
    window_start_ms = (tick_ms - 1) // 10_000 * 10_000
    authors = sorted({(tick_ms * 2654435761 + i * 40503) * 0x9E3779B97F4A7C15 % 2**64 for i in range(events)})
    zero: dict[str, Any] = dict.fromkeys(frames.COUNTS, 0) | {name: [] for name in LISTS}
    return (
        zero
        | {"window_start_ms": window_start_ms, "term": term, "events": events, "originals": events, "authors": authors}
        | columns
    )


def table(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=frames.TERM_ROWS)


def run(state: SurgeState, ticks: Sequence[tuple[int, Sequence[dict[str, Any]]]], params: SurgeParams = PARAMS) -> list[Surge]:
    return [surge for tick_ms, rows in ticks for surge in detect_surges(state, tick_ms, table(rows), params)]


def seasoned(term: str = "keyword:usual", hours: float = 3, params: SurgeParams = PARAMS) -> tuple[SurgeState, int]:
    """A state that saw one event of the term a minute, and the tick after."""
    state = SurgeState(params)
    ticks = [START_MS + i * MINUTE_MS for i in range(int(hours * 60))]
    assert run(state, [(tick_ms, [row(tick_ms, term)]) for tick_ms in ticks], params) == []
    return state, ticks[-1] + MINUTE_MS


def burst(tick_ms: int, term: str, seconds: int, per_second: int = 2) -> list[tuple[int, list[dict[str, Any]]]]:
    ticks = range(tick_ms, tick_ms + seconds * 1_000, 1_000)
    return [(tick, [row(tick, term, per_second)]) for tick in ticks]


def phases(surges: Sequence[Surge]) -> list[str]:
    return [surge.phase for surge in surges]


class Noise:
    """Terms of Zipf popularity whose rates waver from minute to minute and over the day, in 10 s steps."""

    def __init__(self, terms: int, per_second: float, seed: int, dispersion: float = 0.1, season: float = 0.6) -> None:
        self.rng, self.dispersion, self.season = np.random.default_rng(seed), dispersion, season
        popularity = 1 / np.arange(1, terms + 1)
        self.rate = popularity / popularity.sum() * per_second
        self.names = pl.Series([f"{('keyword', 'hashtag')[i % 2]}:t{i}" for i in range(terms)])
        self.wave = np.ones(terms)

    def counts(self, second: int, seconds: int, factors: dict[int, float]) -> np.ndarray[Any, np.dtype[np.int64]]:
        if second % 60 == 0:
            self.wave = self.rng.gamma(1 / self.dispersion, self.dispersion, len(self.rate))
        season = 1 + self.season * np.sin(2 * np.pi * second / 86_400)
        mean = self.rate * seconds * season * self.wave
        for term, factor in factors.items():
            mean[term] *= factor
        return np.asarray(self.rng.poisson(mean), np.int64)

    def rows(self, tick_ms: int, counts: np.ndarray[Any, np.dtype[np.int64]]) -> pl.DataFrame:
        at = np.flatnonzero(counts)
        events, zeros = counts[at], np.zeros(len(at), np.int64)
        columns = dict.fromkeys(frames.COUNTS, zeros) | {"events": events, "originals": events, "unknown_authors": events}
        window = np.full(len(at), (tick_ms - 1) // 10_000 * 10_000)
        return pl.DataFrame({"window_start_ms": window, "term": self.names.gather(at), **columns}).hstack(NO_LISTS.head(len(at)))


def test_six_hours_of_noise_hold_no_surge() -> None:
    noise, state, opened = Noise(1_000, 20.0, seed=1), SurgeState(PARAMS), 0
    for second in range(0, 6 * 3_600, 10):
        tick_ms = START_MS + (second + 10) * 1_000
        opened += len(detect_surges(state, tick_ms, noise.rows(tick_ms, noise.counts(second, 10, {})), PARAMS))
    assert opened == 0


def test_planted_surges_are_found_within_a_minute_and_nothing_else() -> None:
    noise, state = Noise(300, 30.0, seed=2), SurgeState(PARAMS)
    # (term, factor): from 290 to 1 events a minute; each lasts two minutes.
    plants = [(0, 10), (2, 10), (5, 20), (20, 20), (60, 50), (250, 50)]
    begins = {term: 5_400 + 300 * i for i, (term, _) in enumerate(plants)}
    found: dict[str, int] = {}
    for second in [*range(0, 5_400, 10), *range(5_400, 7_200, 2)]:
        step = 10 if second < 5_400 else 2
        factors = {term: float(factor) for term, factor in plants if begins[term] <= second < begins[term] + 120}
        tick_ms = START_MS + (second + step) * 1_000
        for surge in detect_surges(state, tick_ms, noise.rows(tick_ms, noise.counts(second, step, factors)), PARAMS):
            if surge.phase == "opened":
                found[surge.term] = second + step
    delays = {term: found.pop(noise.names[term]) - begins[term] for term, _ in plants}
    assert found == {}
    assert max(delays.values()) <= 60
    assert sorted(delays.values())[2] <= 10


def test_a_surge_opens_in_the_middle_of_a_window() -> None:
    state, tick_ms = seasoned()
    tick_ms = tick_ms // 10_000 * 10_000 + 10_000
    surges = run(state, burst(tick_ms + 1_000, "hashtag:new", 6, per_second=4))
    assert phases(surges)[0] == "opened"
    assert surges[0].tick_ms <= tick_ms + 4_000
    assert surges[0].since_ms == tick_ms
    assert surges[0].opened_ms == surges[0].tick_ms


def test_a_quiet_watched_term_opens_on_its_third_post() -> None:
    state, tick_ms = seasoned(hours=12)
    posts = [(tick_ms, [row(tick_ms, "brand:explosion")]), (tick_ms + 105_000, [row(tick_ms + 105_000, "brand:explosion")])]
    assert run(state, posts) == []
    (surge,) = run(state, [(tick_ms + 111_000, [row(tick_ms + 111_000, "brand:explosion")])])
    assert (surge.phase, surge.term, surge.observed, surge.events, surge.authors) == ("opened", "brand:explosion", 3, 3, 3)
    assert surge.since_ms == (tick_ms - 1) // 10_000 * 10_000
    assert surge.expected < 0.1


def test_the_same_few_posts_of_a_term_nobody_watches_open_nothing() -> None:
    state, tick_ms = seasoned(hours=12)
    assert run(state, burst(tick_ms, "keyword:explosion", 3, per_second=1)) == []


def test_a_cold_start_is_not_a_surge() -> None:
    state = SurgeState(PARAMS)
    assert run(state, burst(START_MS, "brand:acme", 590, per_second=5)) == []


def test_after_a_hole_in_the_log_nothing_opens_until_warm_again() -> None:
    state, tick_ms = seasoned()
    later_ms = tick_ms + 40 * 24 * HOUR_MS
    surges = run(state, burst(later_ms, "brand:acme", 290, per_second=5))
    assert surges == []


def test_a_term_that_merely_follows_all_others_is_no_surge_and_one_that_leaves_them_behind_is() -> None:
    noise, state, opened = Noise(300, 20.0, seed=3, season=0.0), SurgeState(PARAMS), []
    for second in range(0, 4_200, 10):
        factors = dict.fromkeys(range(300), 3.0) if second >= 3_600 else {}
        if second >= 3_900:
            factors[10] = 60.0
        tick_ms = START_MS + (second + 10) * 1_000
        opened += [
            (s.term, second) for s in detect_surges(state, tick_ms, noise.rows(tick_ms, noise.counts(second, 10, factors)), PARAMS)
        ]
    assert {term for term, _ in opened} == {noise.names[10]}
    assert min(second for _, second in opened) >= 3_900


def test_the_total_of_all_posts_is_never_a_surge() -> None:
    state, tick_ms = seasoned()
    assert run(state, burst(tick_ms, "all:posts", 120, per_second=500)) == []


def test_one_surge_opens_once_grows_and_fades_once() -> None:
    state, tick_ms = seasoned()
    quiet = [(tick_ms + i * MINUTE_MS, [row(tick_ms + i * MINUTE_MS, "keyword:usual")]) for i in range(3, 240)]
    surges = run(state, [*burst(tick_ms, "hashtag:goal", 60), *burst(tick_ms + 60_000, "hashtag:goal", 60, 20), *quiet])
    assert {surge.term for surge in surges} == {"hashtag:goal"}
    assert phases(surges) == ["opened", *["grown"] * (len(surges) - 2), "faded"]
    assert 2 < len(surges) < 20
    assert len({surge.opened_ms for surge in surges}) == 1
    assert [surge.peak for surge in surges if surge.scale_ms == 10_000] == sorted(
        surge.peak for surge in surges if surge.scale_ms == 10_000
    )
    assert surges[-1].events == 60 * 2 + 60 * 20
    assert tick_ms + 180_000 < surges[-1].tick_ms < tick_ms + 15 * MINUTE_MS


def test_a_term_can_surge_again_after_its_cool_down_but_not_before() -> None:
    state, tick_ms = seasoned()
    surges = run(state, burst(tick_ms, "hashtag:goal", 30, 5))
    while "faded" not in phases(surges):
        tick_ms += MINUTE_MS
        surges += run(state, [(tick_ms, [row(tick_ms, "keyword:usual")])])
    faded_ms = surges[-1].tick_ms
    assert run(state, burst(faded_ms + 10_000, "hashtag:goal", 30, 5)) == []
    run(state, [(t, [row(t, "keyword:usual")]) for t in range(faded_ms + MINUTE_MS, faded_ms + HOUR_MS, MINUTE_MS)])
    again = run(state, burst(faded_ms + HOUR_MS, "hashtag:goal", 30, 10))
    assert phases(again)[0] == "opened"
    assert again[0].opened_ms > faded_ms + PARAMS.cooldown_ms


def test_a_surge_fades_at_the_first_tick_after_a_gap_of_months() -> None:
    state, tick_ms = seasoned()
    assert "opened" in phases(run(state, burst(tick_ms, "hashtag:goal", 30, 5)))
    later_ms = tick_ms + 90 * 24 * HOUR_MS
    began = time.perf_counter()
    (faded,) = run(state, [(later_ms, [row(later_ms, "keyword:usual")])])
    assert time.perf_counter() - began < 1.0
    assert (faded.phase, faded.term, faded.tick_ms) == ("faded", "hashtag:goal", later_ms)


def test_a_flood_by_one_account_comes_out_and_a_trickle_by_one_account_does_not() -> None:
    one = {"authors": [7]}
    state, tick_ms = seasoned()
    trickle = [(tick_ms + i * 1_000, [row(tick_ms + i * 1_000, "hashtag:spam", 1, **one)]) for i in range(20)]
    assert run(state, trickle) == []
    flood = [(tick_ms + i * 1_000, [row(tick_ms + i * 1_000, "hashtag:spam", 10, **one)]) for i in range(20, 40)]
    opened = run(state, flood)[0]
    assert (opened.phase, opened.authors) == ("opened", 1)
    assert opened.unknown_authors < PARAMS.warm_events  # those from before the term was worth a track
    assert opened.observed >= PARAMS.flood_factor * PARAMS.support[0]


def test_unknown_authors_are_not_one_person() -> None:
    state, tick_ms = seasoned()
    unknown = [
        (tick_ms + i * 1_000, [row(tick_ms + i * 1_000, "hashtag:new", 2, authors=[], unknown_authors=2)]) for i in range(10)
    ]
    opened = run(state, unknown)[0]
    assert opened.phase == "opened"
    assert (opened.authors, opened.unknown_authors) == (0, opened.events)


def test_a_surge_carries_its_sentiment_against_the_usual_and_its_samples_against_those_before() -> None:
    state, tick_ms = seasoned("brand:acme", hours=5)
    happy = {"sentiment_events": 1, "sentiment_milli": 600}
    usual = [
        (t, [row(t, "brand:acme", 1, samples=places(0, np.array([t])).tolist(), **happy)])
        for t in range(tick_ms, tick_ms + 2 * HOUR_MS, MINUTE_MS)
    ]
    assert run(state, usual) == []
    begin_ms = tick_ms + 2 * HOUR_MS + 120_000
    angry = [
        (
            t,
            [
                row(
                    t,
                    "brand:acme",
                    4,
                    sentiment_events=4,
                    sentiment_milli=-2_000,
                    samples=places(1, np.array([t, t + 1])).tolist(),
                )
            ],
        )
        for t in range(begin_ms, begin_ms + 180_000, 1_000)
    ]
    surges = run(state, angry)
    last = surges[-1]
    assert surges[0].usual_sentiment_milli == 600
    assert last.sentiment_milli / last.sentiment_events == -500
    assert {ref.partition for ref in last.background} == {0}
    assert len(last.samples) == MAX_SAMPLES
    refs = sorted(
        ref for t, (r,) in angry if last.since_ms <= r["window_start_ms"] and t <= last.tick_ms for ref in references(r["samples"])
    )
    assert last.samples == tuple(refs[:MAX_SAMPLES])


def test_deletes_are_taken_back() -> None:
    state, tick_ms = seasoned()
    taken_back: list[tuple[int, list[dict[str, Any]]]] = []
    for i in range(0, 20, 2):
        t = tick_ms + i * 1_000
        taken_back += [(t, [row(t, "hashtag:oops", 5)]), (t + 1_000, [row(t + 1_000, "hashtag:oops", -5, authors=[])])]
    assert run(state, taken_back) == []


def test_a_burst_does_not_teach_the_baseline_quickly() -> None:
    state, tick_ms = seasoned("hashtag:show", hours=6)
    first = run(state, burst(tick_ms, "hashtag:show", 120, 5))[0]
    usual = [(t, [row(t, "hashtag:show")]) for t in range(tick_ms + 3 * MINUTE_MS, tick_ms + 3 * HOUR_MS, MINUTE_MS)]
    run(state, usual)
    second = [s for s in run(state, burst(tick_ms + 3 * HOUR_MS, "hashtag:show", 120, 5)) if s.phase == "opened"]
    assert len(second) == 1
    assert second[0].scale_ms == first.scale_ms
    assert second[0].expected < 3 * first.expected


def test_state_stays_under_its_caps_and_an_evicted_term_is_not_deemed_new() -> None:
    params = SurgeParams(max_terms=200, max_tracks=20, hashed_cells=4_096)
    state, tick_ms = seasoned("keyword:old", hours=6, params=params)
    for i in range(300):
        tick_ms += 1_000
        run(state, [(tick_ms, [row(tick_ms, f"keyword:once{i}x{k}") for k in range(20)])], params)
        assert len(state.table) <= 200
        assert len(state.tracks) <= 20
    burst_of = {
        term: run(state, burst(tick_ms + 1_000 + 100_000 * i, term, 30, 1), params)
        for i, term in enumerate(["keyword:new", "keyword:old"])
    }
    new, old = burst_of["keyword:new"][0], [s for s in burst_of["keyword:old"] if s.term == "keyword:old"]
    assert new.expected < 0.1
    assert all(surge.expected > 3 * new.expected for surge in old)


def test_a_watched_term_is_tracked_even_when_there_is_no_room_for_others() -> None:
    params = SurgeParams(max_tracks=1)
    state, tick_ms = seasoned(params=params)
    crowd = [(t, [row(t, f"hashtag:h{k}", 5) for k in range(5)]) for t in range(tick_ms, tick_ms + 10_000, 1_000)]
    assert {surge.term for surge in run(state, crowd, params) if surge.phase == "opened"} <= {f"hashtag:h{k}" for k in range(5)}
    assert len(state.tracks) == 1
    opened = [s for s in run(state, burst(tick_ms + 10_000, "brand:acme", 10, 1), params) if s.phase == "opened"]
    assert [surge.term for surge in opened] == ["brand:acme"]


def test_a_surge_gets_a_track_where_terms_that_were_warm_hold_all_of_them() -> None:
    params = SurgeParams(max_tracks=3)
    state, tick_ms = seasoned(params=params)
    run(state, [(tick_ms, [row(tick_ms, f"keyword:warm{k}", 4) for k in range(5)])], params)
    assert len(state.tracks) == 3
    opened = [s for s in run(state, burst(tick_ms + 1_000, "hashtag:fire", 10), params) if s.phase == "opened"]
    assert [surge.term for surge in opened] == ["hashtag:fire"]
    assert len(state.tracks) == 3
    assert state.untracked > 0


def test_a_few_events_however_surprising_take_nobody_s_track() -> None:
    params = SurgeParams(max_tracks=3, support=(40, 40, 40, 40))
    state, tick_ms = seasoned(params=params)
    run(state, [(tick_ms, [row(tick_ms, f"keyword:warm{k}", 4) for k in range(5)])], params)
    tracks = dict(state.tracks)
    run(state, [(tick_ms + 1_000, [row(tick_ms + 1_000, f"keyword:rare{k}", 9) for k in range(5)])], params)
    assert state.tracks == tracks
    run(state, [(tick_ms + 2_000, [row(tick_ms + 2_000, "hashtag:soon", 10), row(tick_ms + 2_000, "keyword:odd", 9)])], params)
    assert [track.term for key, track in state.tracks.items() if key not in tracks] == ["hashtag:soon"]


def test_what_is_a_trifle_in_a_stream_of_this_size_is_not_followed() -> None:
    params = SurgeParams(support=(60, 60, 60, 60))
    state, tick_ms = seasoned(params=params)
    run(state, [(tick_ms, [row(tick_ms, "keyword:odd", 5), row(tick_ms, "keyword:more", 6)])], params)
    assert [track.term for track in state.tracks.values()] == ["keyword:more"]


def test_more_new_terms_in_one_tick_than_there_is_room_for_do_no_harm() -> None:
    params = SurgeParams(max_terms=50)
    state = SurgeState(params)
    run(state, [(START_MS, [row(START_MS, f"keyword:k{i}") for i in range(500)])], params)
    assert len(state.table) == 50


def test_a_section_that_did_not_change_keeps_its_bytes() -> None:
    params = SurgeParams()
    state = SurgeState(params)
    run(state, [(START_MS, [row(START_MS, f"keyword:k{i}") for i in range(3_000)])], params)
    before = state.snapshot()
    run(state, [(START_MS + 1_000, [row(START_MS + 1_000, "keyword:k5")])], params)
    after = state.snapshot()
    changed = {name for name in after if after[name] != before.get(name)}
    assert set(before) == set(after)
    assert "meta" in changed
    assert len(changed) <= 3
    assert len([name for name in after if name.startswith("terms/")]) == 3


def test_a_state_of_other_hashed_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="hashed cells"):
        SurgeState.restore(SurgeState(SMALL).snapshot(), PARAMS)


def test_the_clock_must_not_go_back() -> None:
    state, tick_ms = seasoned(hours=0.1)
    with pytest.raises(ValueError, match="go back"):
        run(state, [(tick_ms - HOUR_MS, [])])


TERMS = ["brand:a", "brand:b", "hashtag:x", "keyword:y", "keyword:z", "domain:d", "all:posts"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([1_000, 1_000, 1_000, 7_000, 70_000, 700_000, 2 * HOUR_MS, 40 * 24 * HOUR_MS]),
        st.lists(st.tuples(st.sampled_from(TERMS), st.sampled_from([-2, 1, 2, 9, 40]), st.integers(0, 5)), max_size=5),
    ),
    min_size=5,
    max_size=40,
)


def ticks_of(steps: list[tuple[int, list[tuple[str, int, int]]]]) -> list[tuple[int, list[dict[str, Any]]]]:
    tick_ms, ticks = START_MS, []
    for step_ms, rows in steps:
        tick_ms += step_ms
        distinct = {(term, age): events for term, events, age in rows}
        late = {"samples": places(0, np.array([tick_ms])).tolist()}
        ticks.append(
            (
                tick_ms,
                [row(tick_ms - age * 10_000, term, events, **late) for (term, age), events in distinct.items()],
            )
        )
    return ticks


EAGER = SurgeParams(
    score=2.0,
    score_watched=1.5,
    exit_score=1.0,
    support=(2, 2, 2, 2),
    support_watched=(2, 2, 2, 2),
    authors=1,
    authors_watched=1,
    warmup_ms=5_000,
    rewarm_ms=1_000,
    min_bins=0.0,
    max_terms=4,
    max_tracks=3,
    hashed_cells=8,
    cooldown_ms=20_000,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, cut=st.integers(0, 40), order=st.randoms(use_true_random=False))
def test_stored_and_restored_anywhere_and_with_rows_in_any_order_the_surges_are_the_same(
    steps: list[tuple[int, list[tuple[str, int, int]]]], cut: int, order: Any
) -> None:
    ticks = ticks_of(steps)
    plain = SurgeState(EAGER)
    expected = run(plain, ticks, EAGER)
    first = SurgeState(EAGER)
    found = run(first, ticks[:cut], EAGER)
    again = SurgeState.restore(first.snapshot(), EAGER)
    for tick_ms, rows in ticks[cut:]:
        found += run(again, [(tick_ms, order.sample(rows, len(rows)))], EAGER)
    assert found == expected
    assert again.snapshot() == plain.snapshot()


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_what_was_frozen_stays_as_it_was_whatever_comes_later(steps: list[tuple[int, list[tuple[str, int, int]]]]) -> None:
    state, frozen, whole = SurgeState(EAGER), [], []
    for tick in ticks_of([(1_000, [("brand:a", 1, 0)])] * 6 + steps):
        run(state, [tick], EAGER)
        frozen.append(state.freeze())
        whole.append(state.snapshot())
    assert [one.sections() for one in frozen] == whole


def test_the_steps_of_the_property_above_do_open_grow_and_fade_surges() -> None:
    steps: list[tuple[int, list[tuple[str, int, int]]]] = [(1_000, [("brand:a", 1, 0)])] * 20
    steps += [(1_000, [("brand:a", 9, 0)])] * 3 + [(1_000, [("brand:a", 40, 0)])] * 3 + [(700_000, [("keyword:y", 1, 0)])] * 2
    assert set(phases(run(SurgeState(EAGER), ticks_of(steps), EAGER))) == {"opened", "grown", "faded"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"exit_score": 7.0},
        {"exit_ratio": 3.0},
        {"support": (1, 2)},
        {"growth_cap": 0.5},
        {"warmup_ms": 0},
        {"fade_max_ms": 1},
        {"max_terms": 0},
    ],
)
def test_parameters_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        SurgeParams(**wrong)
