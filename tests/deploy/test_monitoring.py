"""Alerts and dashboard speak the proxy's own words, and lead to what can be done."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from proxy.admin.metrics import PREFIX, RELOADS, REPAIRS
from proxy.config.load import load
from proxy.credentials.sharing import StoreAnswer
from proxy.errors import FetchOutcome
from proxy.gateway.callers import Outcome
from proxy.gateway.problems import KINDS
from proxy.gateway.watch import UpstreamHealth
from tests.admin.test_metrics import documented

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text(encoding="utf-8"))
TESTS = yaml.safe_load((DEPLOY / "prometheus" / "rules.test.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
NAMES = [alert["alert"] for alert in ALERTS]
CLOSED = {
    "outcome": {*get_args(FetchOutcome), *REPAIRS, *RELOADS, *get_args(Outcome)},
    "answer": set(get_args(StoreAnswer)),
    "problem": set(KINDS),
    "code": {"1xx", "2xx", "3xx", "4xx", "5xx"},
    "state": {*get_args(UpstreamHealth), "idle", "active", "connecting"},
}
"""Values of labels that come from closed sets."""


def anchors(page: str) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE), re.M
    )
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def queries() -> Iterator[str]:
    yield from (alert["expr"] for alert in ALERTS)
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ()))
    yield from (v["definition"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query")


def series() -> dict[str, set[str]]:
    """Every name under which Prometheus keeps a metric of ours, and its labels."""
    found: dict[str, set[str]] = {}
    for name, labels in documented().items():
        more = labels | ({"target"} if "credential" in labels else set()) | {"job", "instance", "le"}
        endings = ("", "_bucket", "_sum", "_count") if name.endswith("_seconds") else ("",)
        found |= {PREFIX + name + ending: more for ending in endings}
    # The reference writes the labels of two counters once, behind the second.
    found[PREFIX + "received_bytes_total"] = found[PREFIX + "sent_bytes_total"]
    return found


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_a_query_asks_for_what_the_proxy_tells(query: str) -> None:
    known = series()
    for name in re.findall(rf"{PREFIX}\w+", query):
        assert name in known
    for name, matchers in re.findall(rf"({PREFIX}\w+){{([^}}]*)}}", query):
        assert set(re.findall(r"(\w+)\s*[=!]~?", matchers)) <= known[name]
    others = re.findall(r"\b((?:process|python)_\w+)", query)
    assert set(others) <= {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_a_query_asks_for_values_that_there_are(query: str) -> None:
    for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"$]*)"', query):
        if label not in CLOSED:
            continue
        for each in value.split("|") if "~" in operator else [value]:
            assert any(re.fullmatch(each, known) for known in CLOSED[label]), (label, each)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_says_what_it_is_about_and_leads_to_what_can_be_done(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    said = alert["annotations"]
    assert said["summary"]
    assert said["description"].endswith((".", "{{ end }}"))
    page, _, anchor = said["runbook_url"].partition("#")
    assert page == "https://example.com/camunda-auth-proxy/operations.md"
    assert anchor in anchors(OPERATIONS)
    assert anchor == alert["alert"].lower()


def test_every_alert_is_shown_to_come_and_not_to_come() -> None:
    looks = [look for test in TESTS["tests"] for look in test["alert_rule_test"]]
    for name in NAMES:
        outcomes = {bool(look["exp_alerts"]) for look in looks if look["alertname"] == name}
        assert outcomes == {True, False}, name


def test_the_operators_rules_are_the_same() -> None:
    rule = yaml.safe_load((DEPLOY / "kubernetes/monitoring/prometheusrule.yaml").read_text(encoding="utf-8"))
    assert rule["spec"] == RULES


def test_the_pod_monitor_asks_for_the_port_that_the_sidecar_has() -> None:
    monitor = yaml.safe_load((DEPLOY / "kubernetes/monitoring/podmonitor.yaml").read_text(encoding="utf-8"))
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    component = yaml.safe_load((DEPLOY / "kubernetes/component/sidecar.yaml").read_text(encoding="utf-8"))
    (sidecar,) = component["spec"]["template"]["spec"]["initContainers"]
    assert [port["name"] for port in sidecar["ports"]] == [endpoint["port"]]
    assert len(endpoint["port"]) <= 15
    relabeled = {each["targetLabel"]: each["replacement"] for each in endpoint["relabelings"]}
    assert f'job="{relabeled["job"]}"' in next(a["expr"] for a in ALERTS if a["alert"].endswith("Down"))


def test_panels_are_about_what_is_chosen_above_them() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables >= {"datasource", "upstream", "credential", "instance"}
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in panels:
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            used = {name for name in re.findall(r"\$(\w+)", target["expr"]) if not name.startswith("__")}
            assert used <= variables
            assert "instance" in used


def test_every_code_of_ours_has_a_line_that_says_what_to_do() -> None:
    table = OPERATIONS.split("## What a code asks of you")[1].split("\n## ")[0]
    listed = re.findall(
        r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if line[:1] == "|")
    )
    assert sorted(listed) == sorted(KINDS)


def test_links_of_the_page_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", OPERATIONS):
        path, _, anchor = target.partition("#")
        page = (ROOT / "docs" / path).resolve() if path else ROOT / "docs" / "operations.md"
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page.read_text(encoding="utf-8")), target


def test_the_units_configuration_is_right(tmp_path: Path) -> None:
    (tmp_path / "client_secret").write_text("secret", encoding="utf-8")
    config = load(
        config=DEPLOY / "systemd" / "config.yaml",
        env_file=None,
        environ={"CREDENTIALS_DIRECTORY": str(tmp_path)},
        directory=tmp_path,
    )
    assert [upstream.name for upstream in config.upstreams] == ["zeebe"]


@pytest.mark.parametrize("unit", ["camunda-auth-proxy.service", "camunda-auth-proxy-user.service"])
def test_a_unit_waits_longer_than_the_proxy_may_take(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / unit).read_text(encoding="utf-8")
    patience = float(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.M)[0])
    (tmp_path / "c.yaml").write_text(
        "upstreams: {zeebe: {url: 'http://localhost:1', credential: a}}\ncredentials: {a: {type: none}}"
    )
    shutdown = load(config=tmp_path / "c.yaml", env_file=None, environ={}, directory=tmp_path).shutdown
    assert patience > shutdown.delay + shutdown.grace
