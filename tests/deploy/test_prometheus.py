"""Prometheus can read its files, every rule asks for metrics that drumbeat has, and each alert says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
IDS = [rule["alert"] for rule in RULES]
SUFFIXES = ("_total", "_bucket", "_sum", "_count")


def base_name(metric: str) -> str:
    """The metric's name as the code may write it: without prefix, and without what the client library adds."""
    name = metric.removeprefix("drumbeat_")
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_every_expression_is_promql(rule: dict[str, Any]) -> None:
    assert promql_parser.parse(rule["expr"]) is not None


def test_the_parser_refuses_what_is_no_promql() -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        promql_parser.parse("sum(rate(x[5m]) >")


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_every_rule_asks_for_metrics_that_drumbeat_has(rule: dict[str, Any]) -> None:
    metrics = re.findall(r"drumbeat_\w+", rule["expr"] + " ".join(rule["annotations"].values()))
    defined = (ROOT / "agents/metrics.py").read_text(encoding="utf-8")
    assert [metric for metric in metrics if not re.search(rf'"(drumbeat_)?{base_name(metric)}(_total)?"', defined)] == []
    assert metrics or 'up{job="drumbeat"}' in rule["expr"]


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_every_alert_says_how_urgent_what_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["for"]
    assert all(rule["annotations"][key].endswith((".", "?")) for key in ("summary", "action"))


def test_it_scrapes_the_worker_that_compose_starts() -> None:
    jobs = {
        job["job_name"]: job
        for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    }
    services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))["services"]
    [discovery] = jobs["drumbeat"]["dns_sd_configs"]
    assert set(discovery["names"]) <= set(services)
    assert [port.rpartition(":")[2] for port in services["worker"]["ports"]] == [str(discovery["port"])]


@pytest.mark.parametrize(
    "arguments", [["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]], ids=["config", "rules"]
)
def test_promtool_agrees(arguments: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed here")
    run = subprocess.run([promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
