"""Every query of the dashboard runs on the schema and returns what its panel shows."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from agents.clickhouse import ClickHouse
from agents.metrics import Metrics
from schemas import frames
from schemas.dead_letters import DeadLetter
from schemas.mentions import Mention
from schemas.moments import encode_moment
from schemas.rows import dead_letter_columns, mention_columns, moment_columns, window_tables
from schemas.windows import FACET_WINDOW_ROWS, WINDOW_ROWS, WindowBatch
from tests.schemas.test_rows import BOSTON_MS, moment

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy/grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards/drumbeat.json").read_text(encoding="utf-8"))
SOURCES: list[dict[str, Any]] = yaml.safe_load((GRAFANA / "provisioning/datasources/drumbeat.yaml").read_text(encoding="utf-8"))[
    "datasources"
]
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
CLICKHOUSE = [panel for panel in PANELS if panel["datasource"]["uid"] == "drumbeat-clickhouse"]
PROMETHEUS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"] if "expr" in target]
ANNOTATION: str = next(item for item in DASHBOARD["annotations"]["list"] if item["name"] == "Moments")["target"]["rawSql"]
BRANDS: str = next(item for item in DASHBOARD["templating"]["list"] if item["name"] == "brand")["query"]

FROM_MS, TO_MS = BOSTON_MS - 3_600_000, BOSTON_MS + 3_600_000
INTERVAL_S = 60


def expanded(sql: str, brands: tuple[str, ...] = ("acme", "o'neill"), kind: str = "hashtag") -> str:
    """The SQL as Grafana and its ClickHouse plugin would send it for one time range and choice of variables."""
    low, high = (f"toDateTime({bound_ms // 1000})" for bound_ms in (FROM_MS, TO_MS))
    sql = re.sub(r"\$__timeFilter\(([\w.]+)\)", rf"\1 >= {low} AND \1 <= {high}", sql)
    sql = re.sub(r"\$__timeInterval\(([\w.]+)\)", rf"toStartOfInterval(toDateTime(\1), INTERVAL {INTERVAL_S} second)", sql)
    quoted = ",".join("'" + brand.replace("'", "''") + "'" for brand in brands)
    values = {
        "$__fromTime": low,
        "$__toTime": high,
        "$__interval_s": str(INTERVAL_S),
        "${__from}": str(FROM_MS),
        "${__to}": str(TO_MS),
        "${brand:sqlstring}": quoted,
        "${kind:sqlstring}": f"'{kind}'",
    }
    for name, value in values.items():
        sql = sql.replace(name, value)
    assert "$" not in sql, f"a macro or variable that Grafana was not asked to expand here: {sql}"
    return sql


@pytest.fixture
def filled(clickhouse: ClickHouse) -> ClickHouse:
    """Two brands and a rising hashtag, and one of everything else that a panel shows."""
    counts = {**dict.fromkeys(frames.COUNTS, 1), "sentiment_milli": -500}
    rows = [
        {"window_start_ms": BOSTON_MS + 10_000 * step, "term": term, "part": "0", "version": 1, **counts, "events": 3 + step}
        | {"authors": [7, 8 + step]}
        for step in range(12)
        for term in ("all:posts", "brand:acme", "brand:o'neill", "hashtag:fire")
    ]
    facets = [
        {"window_start_ms": BOSTON_MS, "term": "brand:acme", "facet": facet, "events": 3, "part": "0", "version": 1}
        for facet in ("lang:en", "platform:x", "community:r/boston")
    ]
    tables = window_tables(
        WindowBatch(
            partition=0,
            rows=frames.to_bytes(pl.DataFrame(rows, schema=WINDOW_ROWS)),
            facets=frames.to_bytes(pl.DataFrame(facets, schema=FACET_WINDOW_ROWS)),
        )
    )
    for columns in tables.values():
        clickhouse.insert(columns)
    post = Mention(
        post_id="p",
        platform="x",
        version=1,
        brands=("acme",),
        event_ms=BOSTON_MS,
        text="fire",
        sentiment_milli=-5,
        url="https://x/p",
    )
    clickhouse.insert(mention_columns([post]))
    clickhouse.insert(moment_columns([(moment(), encode_moment(moment()))]))
    clickhouse.insert(dead_letter_columns([DeadLetter("not_json", "line 1", "social.raw", 0, 7, BOSTON_MS, b"{", 1)]))
    return clickhouse


@pytest.mark.parametrize("panel", CLICKHOUSE, ids=lambda panel: panel["title"])
def test_every_panel_gets_rows_with_the_columns_it_uses(filled: ClickHouse, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        result = filled.query(expanded(target["rawSql"]))
        assert result.height > 0
        assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} <= set(result.columns)
        if panel["type"] == "timeseries":
            assert_is_time_series(result)


def assert_is_time_series(result: pl.DataFrame) -> None:
    """Long format as the plugin wants it: a `time`, one label, one number, sorted by time."""
    time, label, value = result.columns
    assert time == "time"
    assert result["time"].to_list() == sorted(result["time"].to_list())
    assert FROM_MS <= result["time"][0] * 1000 <= TO_MS  # DateTime comes as seconds in Arrow
    assert result.schema[label] == pl.String
    assert result.schema[value].is_numeric()
    assert result[value].is_not_null().all()


def test_the_numbers_on_the_panels_are_those_that_were_stored(filled: ClickHouse) -> None:
    def result(title: str) -> pl.DataFrame:
        return filled.query(expanded(next(p for p in CLICKHOUSE if p["title"] == title)["targets"][0]["rawSql"]))

    assert result("Mentions per minute").select("brand", "mentions").rows() == [
        ("acme", 33.0),
        ("o'neill", 33.0),
        ("acme", 69.0),
        ("o'neill", 69.0),
    ]
    assert result("Top terms").rows() == [("fire", 102, 13)]
    assert result("Sentiment")["mean"].to_list() == [-0.5] * 4
    assert result("Newest mentions").select("text", "sentiment").rows() == [("fire", -0.005)]


def test_the_moments_are_marked_on_the_graphs_with_time_text_and_tags(filled: ClickHouse) -> None:
    row = filled.query(expanded(ANNOTATION)).row(0, named=True)
    assert set(row) == {"time", "timeEnd", "text", "tags"}
    assert isinstance(row["time"], datetime)
    assert row["text"] == moment().why


def test_the_brand_variable_lists_the_brands_that_were_heard(filled: ClickHouse) -> None:
    assert filled.query(expanded(BRANDS))["brand"].to_list() == ["acme", "o'neill"]


@pytest.mark.parametrize("panel", CLICKHOUSE, ids=lambda panel: panel["title"])
def test_before_the_first_event_panels_are_empty_and_not_broken(clickhouse: ClickHouse, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert clickhouse.query(expanded(target["rawSql"], brands=())).height == 0


def test_panels_have_their_own_ids_and_places() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert DASHBOARD["schemaVersion"] >= 39
    assert DASHBOARD["uid"]


def test_every_data_source_that_is_named_is_provisioned() -> None:
    provisioned = {(source["type"], source["uid"]) for source in SOURCES}
    asked = {
        (found["type"], found["uid"])
        for found in (
            *(panel["datasource"] for panel in PANELS),
            *(target["datasource"] for panel in PANELS for target in panel["targets"]),
            *(item["datasource"] for item in DASHBOARD["templating"]["list"] if "datasource" in item),
            *(item["datasource"] for item in DASHBOARD["annotations"]["list"] if not item.get("builtIn")),
        )
    }
    assert asked == provisioned


def test_grafana_finds_the_files_where_compose_mounts_them_and_no_password_is_in_them() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in compose["volumes"] if volume.startswith("./"))
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/drumbeat.yaml").read_text(encoding="utf-8"))["providers"][0]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert [source["secureJsonData"] for source in SOURCES if "secureJsonData" in source] == [{"password": "$CLICKHOUSE_PASSWORD"}]
    assert "CLICKHOUSE_PASSWORD" in compose["environment"]


@pytest.mark.parametrize(("title", "expression"), PROMETHEUS)
def test_every_prometheus_panel_asks_for_metrics_and_labels_that_the_worker_has(title: str, expression: str) -> None:
    promql = expression.replace("$__rate_interval", "1m")
    assert promql_parser.parse(promql) is not None, title
    registry = CollectorRegistry()
    Metrics(registry)
    labels = {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}
    families = {f"{family.name}{'_total' if family.type == 'counter' else ''}" for family in registry.collect()}
    names = re.findall(r"drumbeat_\w+", expression)
    assert names
    assert all(name in labels or name in families for name in names), names
    for by in re.findall(r"by \((\w+)\)", expression):
        assert by in set().union(*(labels.get(name, {by}) for name in names)), (by, names)
