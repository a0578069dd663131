"""A backtest shows what the worker would have alerted and stored, on a page that is safe to open."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from agents.__main__ import main
from agents.backtest import Backtest, params_of, run_backtest
from agents.backtest_plot import MAX_BARS, Series, duration, plot, series, span_of
from agents.backtest_report import Report, histories, render
from agents.backtest_windows import newest, write_windows
from agents.cli.backtest import brands_of
from agents.recordings import Line, Recording
from agents.settings import Settings
from schemas import frames
from schemas.errors import ConfigurationError
from schemas.events import decode_event
from schemas.moments import Moment, Sample, decode_moment
from schemas.watchlist import Brand
from schemas.windows import WINDOW_ROWS
from streams.pipeline import Pipeline
from streams.records import Record

START_MS = 1_700_000_000_000
BURST_MS = START_MS + 1_800_000


def evening() -> list[dict[str, object]]:
    """Forty minutes of talk at one post in 4 s; half an hour in, forty people name an explosion; some posts come late."""
    rng = random.Random(5)
    words = ["coffee", "game", "train", "music", "rain", "lunch", "movie", "dog", "school", "garden"]
    arrivals: list[tuple[int, dict[str, object]]] = []
    for i in range(600):
        arrival_ms = START_MS + i * 4_000
        created_ms = arrival_ms - 90_000 if i % 50 == 7 else arrival_ms
        text = " ".join(rng.sample(words, 3))
        arrivals.append((arrival_ms, {"created_ms": created_ms, "text": text, "author": f"a{rng.randrange(200)}"}))
    for i in range(40):
        text = f"{rng.choice(words)} explosion near the {rng.choice(words)} <b>&amp;"
        arrivals.append((BURST_MS + i * 3_000, {"created_ms": BURST_MS + i * 3_000, "text": text, "author": f"b{i}"}))
    arrivals.sort(key=lambda arrival: arrival[0])
    return [{"id": f"p{i}", "platform": "test", **post} for i, (_, post) in enumerate(arrivals)]


@pytest.fixture(scope="module")
def recording_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "evening.ndjson"
    lines = [json.dumps(post) for post in evening()]
    path.write_text("\n".join([*lines[:300], "{broken", lines[299], *lines[300:]]) + "\n", encoding="utf-8")
    return path


def nobody(_line: Line) -> None:
    """Nobody watches."""


def backtest(path: Path, alerts: io.BytesIO | None = None) -> Backtest:
    recording = Recording(str(path), decode_event, START_MS * 2)
    return run_backtest([recording], [Brand(id="explosion")], params_of(Settings(), "canonical"), alerts or io.BytesIO(), nobody)


@pytest.fixture(scope="module")
def result(recording_file: Path) -> Backtest:
    return backtest(recording_file)


def test_the_burst_is_a_moment_within_its_two_minutes(result: Backtest) -> None:
    opened = [history[0] for history in histories(result.moments) if "explosion" in history[0].lead_term]
    assert len(opened) == 1
    assert BURST_MS <= opened[0].opened_ms <= BURST_MS + 120_000


def test_every_line_is_accounted_for(result: Backtest) -> None:
    assert result.outcomes == Counter(counted=640, duplicate=1, dead=1)
    assert result.mentions == 40


def test_the_same_recording_gives_the_same_alerts_and_windows(recording_file: Path, result: Backtest) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    one, two = backtest(recording_file, first), backtest(recording_file, second)
    assert first.getvalue() == second.getvalue() != b""
    assert one.windows.stored().equals(two.windows.stored())
    assert one.moments == result.moments


def test_windows_and_moments_are_those_of_the_worker_although_small_windows_are_seen(
    recording_file: Path, result: Backtest
) -> None:
    params = params_of(Settings(), "canonical")
    pipeline = Pipeline(params, [Brand(id="explosion")])
    lines = list(Recording(str(recording_file), decode_event, START_MS * 2).read())
    fed = pipeline.feed([Record(offset, line.time_ms, line.payload) for offset, line in enumerate(lines)])
    ended = pipeline.finish()
    tables = [frames.from_bytes(batch.rows).select(list(WINDOW_ROWS)) for batch in (*fed.windows, *ended.windows) if batch.rows]
    assert result.late_events > 0
    assert result.windows.stored().equals(newest(pl.concat(tables)))
    assert result.moments == fed.moments + ended.moments


def test_a_plot_knows_the_small_windows_too(result: Backtest) -> None:
    lead = next(m.lead_term for m in result.moments if "explosion" in m.lead_term)
    assert sum(result.windows.events_of(lead, START_MS, BURST_MS + 3_600_000).values()) == 40
    assert result.windows.events_of("keyword:nobody-said-this", START_MS, BURST_MS) == {}


def window(version: int, part: str, events: int, authors: list[int]) -> pl.DataFrame:
    counts = dict.fromkeys(frames.COUNTS, 0) | {"events": events, "sentiment_events": 2, "sentiment_milli": -500}
    row = {"window_start_ms": 10_000, "term": "brand:a", "part": part, "version": version, **counts, "authors": authors}
    return pl.DataFrame([row], schema=WINDOW_ROWS)


def test_of_two_versions_the_higher_counts_and_parts_are_added() -> None:
    rows = pl.concat([window(5, "0", 7, [1, 2]), window(3, "0", 4, [1]), window(9, "0/0:77", 2, [2, 3])])
    assert newest(rows).select("events", "authors").rows() == [(9, [1, 2, 3])]


def test_the_windows_file_is_for_people(tmp_path: Path) -> None:
    many = [2**57 * i for i in range(1, 65)]  # 64 hashes up to half of the range: about 126 authors
    write_windows(
        newest(pl.concat([window(1, "0", 7, [1, 2]), window(1, "1", 70, many).with_columns(term=pl.lit("brand:b"))])),
        tmp_path / "w.csv",
    )
    one, two = csv.DictReader((tmp_path / "w.csv").read_text().splitlines())
    assert (one["term"], one["window_start"], one["events"], one["authors"]) == ("brand:a", "1970-01-01T00:00:10Z", "7", "2")
    assert float(one["sentiment"]) == -0.25
    assert two["authors"] == "126"


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.fetched += [value or "" for name, value in attrs if name in ("src", "srcset", "data") or name.startswith("on")]
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def moment(**changes: object) -> Moment:
    values: dict[str, object] = {
        "moment_id": "m1",
        "sequence": 0,
        "status": "opened",
        "organic": True,
        "lead_term": "brand:a",
        "terms": ("brand:a", "hashtag:b"),
        "brands": ("a",),
        "severity": 4,
        "score": 9.0,
        "reasons": ("surge",),
        "opened_ms": BURST_MS,
        "since_ms": BURST_MS - 60_000,
        "updated_ms": BURST_MS,
        "lead_time_ms": 60_000,
        "scale_ms": 300_000,
        "observed": 40,
        "expected": 2.0,
        "peak": 40,
        "events": 40,
        "authors": 38,
        "unknown_authors": 0,
        "organic_share": 0.9,
        "sentiment": -0.4,
        "sentiment_shift": None,
        "originals": 40,
        "replies": 0,
        "reposts": 0,
        "reach": 0,
        "platforms": {"x": 3},
        "languages": {},
        "communities": {},
        "words": (),
        "samples": (),
        "why": "because",
    }
    return Moment(**{**values, **changes})  # type: ignore[arg-type]  # a table of fields, checked by msgspec when read back


def page_of(*moments: Moment, counts: dict[int, int] | None = None) -> str:
    return render(Report("a backtest", moments, lambda *_: counts or {BURST_MS // 10_000 * 10_000: 40}))


def test_a_moment_is_on_the_page_with_its_plot_its_sentence_and_its_samples() -> None:
    closed = moment(sequence=1, status="closed", closed_ms=BURST_MS + 600_000, updated_ms=BURST_MS + 600_000, why="it is over")
    sample = Sample(text="what a bang", platform="x", url="https://x.example/1", event_ms=BURST_MS)
    html = page_of(moment(samples=(sample,)), closed)
    page = Page(html)
    assert page.tags["svg"] == page.tags["article"] == 1
    assert all(
        words in page.text for words in ("because", "At the end: it is over", "what a bang", "opened 22:43:20", "closed 22:53:20")
    )
    assert page.links == ["#m-m1", "https://x.example/1"]


def test_foreign_text_stays_text_and_nothing_is_fetched() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    samples = (Sample(text=evil, platform=evil, url="javascript:alert(3)"), Sample(text="x", platform="x", url=f"https://x/{evil}"))
    html = page_of(
        moment(
            moment_id=evil,
            lead_term=evil,
            terms=("a", evil),
            why=evil,
            samples=samples,
            platforms={evil: 1},
            brands=(evil,),
            reasons=(evil,),
        )
    )
    page = Page(html)
    assert page.tags["script"] == page.tags["img"] == 0
    assert page.fetched == []
    assert all(link.startswith(("#", "https://x/")) for link in page.links)
    assert "default-src 'none'" in html


def test_a_page_without_moments_says_so() -> None:
    assert "No moment" in Page(page_of()).text


def test_an_inorganic_moment_is_marked() -> None:
    assert "inorganic" in Page(page_of(moment(organic=False))).text


def test_histories_are_in_sequence_and_in_order_of_opening() -> None:
    late, early = moment(moment_id="b", opened_ms=BURST_MS + 1), moment(moment_id="c", opened_ms=BURST_MS)
    second = moment(moment_id="b", sequence=1, status="updated", opened_ms=BURST_MS + 1)
    assert histories([second, late, early]) == [[early], [late, second]]


@pytest.mark.parametrize("length_ms", [1, 60_000, 3_600_000, 86_400_000, 400 * 86_400_000])
def test_bars_are_few_and_hold_every_event_of_the_span(length_ms: int) -> None:
    start_ms = START_MS // 10_000 * 10_000
    windows = {
        start_ms + i * max(10_000, length_ms // 50 // 10_000 * 10_000): 3
        for i in range(max(1, length_ms // 10_000) if length_ms < 500_000 else 50)
    }
    shown = series(windows, start_ms, start_ms + length_ms)
    assert len(shown.counts) <= MAX_BARS + 1 or shown.step_ms == 86_400_000
    assert sum(shown.counts) == 3 * sum(start_ms <= w < start_ms + length_ms for w in windows)
    assert shown.start_ms <= start_ms < start_ms + length_ms <= shown.end_ms


def test_a_plot_of_nothing_is_a_plot() -> None:
    only = moment(expected=0.0)
    start_ms, end_ms = span_of([only])
    assert "NaN" not in plot(Series(start_ms, end_ms - start_ms, (0,)), [only])


@pytest.mark.parametrize(
    ("words", "ms"), [("10 s", 10_000), ("5 min", 300_000), ("2 h", 7_200_000), ("3 d", 259_200_000), ("0 s", 0)]
)
def test_durations_are_said_in_words(words: str, ms: int) -> None:
    assert duration(ms) == words


def test_brands_come_from_a_file_and_from_words(tmp_path: Path) -> None:
    (tmp_path / "w").write_text('{"id":"acme","aliases":["Acme Inc"]}', encoding="utf-8")
    brands = brands_of(tmp_path / "w", "explosion, #boston,")
    assert [brand.id for brand in brands] == ["acme", "explosion", "boston"]
    with pytest.raises(ConfigurationError, match="twice"):
        brands_of(tmp_path / "w", "acme")
    with pytest.raises(ConfigurationError, match="No such file"):
        brands_of(tmp_path / "none", "")


def test_the_command_writes_three_files(recording_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    assert main(["backtest", str(recording_file), "--watch", "explosion", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "1 moments in 642 records" in told.out
    assert "explosion" in told.out
    assert "1 do not decode" in told.err
    alerts = [decode_moment(line) for line in (out / "moments.jsonl").read_bytes().splitlines()]
    assert {alert.status for alert in alerts} >= {"opened", "closed"}
    rows = list(csv.DictReader((out / "windows.csv").read_text(encoding="utf-8").splitlines()))
    assert sum(int(row["events"]) for row in rows if row["term"] == "all:posts") == 640
    assert sum(int(row["events"]) for row in rows if row["term"] == "brand:explosion") == 40
    assert Page((out / "report.html").read_text(encoding="utf-8")).tags["svg"] == 1


def test_an_empty_recording_gives_empty_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert main(["backtest", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 0
    assert "0 moments in 0 records" in capsys.readouterr().out
    assert (tmp_path / "out" / "windows.csv").read_text().startswith("term,window_start,events")


def test_an_out_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert main(["backtest", str(tmp_path / "file"), "--out", str(tmp_path / "file" / "x")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
