"""promtool is not at hand: the exposition is read by prometheus-client's own strict parsers."""

import platform
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from proxy import is_compiled
from proxy.admin.metrics import PREFIX
from proxy.admin.status import CallerView
from proxy.credentials.keeper import Keeper
from proxy.credentials.sharing import StoreTally
from proxy.credentials.standing import FileEnd
from proxy.errors import CredentialRejected, CredentialUnavailable
from tests.admin.port import UNIX_TIME, House, view
from tests.credentials.sources import running

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


async def scrape(house: House, accept: str = "") -> dict[str, Metric]:
    """Families by name, as the parser for what was sent understands them."""
    answer = await house.get("/metrics", {"Accept": accept})
    assert answer.status == 200
    read = read_openmetrics if "openmetrics" in answer.fields["Content-Type"] else read_text
    return {family.name: family for family in read(answer.body.decode())}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    """Samples by the values of their labels, which are sorted by name."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in family.samples
    }


async def busy(house: House) -> None:
    """Something of everything."""
    tally = house.tally
    tally.requests.update({("GET", 2): 7, ("POST", 4): 1})
    tally.received, tally.sent, tally.in_flight = 100, 2000, 2
    tally.problems["wrong_host"] = 3
    tally.callers.update({("ci", "answered"): 5, ("", "unknown"): 1, ("removed", "answered"): 9})
    house.state.callers = (CallerView("ci", ("zeebe",), "all", None),)
    tally.repairs["ok"] = 4
    tally.pools.append(lambda: {"idle": 1, "active": 2, "waiting": 5})
    for seconds in (0.004, 0.005, 0.02, 1000.0):
        tally.request_seconds.observe(seconds)
    tally.response_seconds.observe(0.3)
    tally.connect_seconds.observe(0.001)
    house.keeper.tally.wait_seconds.observe(2.0)
    house.keeper._file_end = lambda now: FileEnd("credentials.saas", now + 60.0, 600.0, "log in")
    house.state.stores = {"redis://store:6379": StoreTally("redis://store:6379")}
    await house.fetched()


def documented() -> dict[str, set[str]]:
    """Names and labels in the reference's section on metrics: what its lists, parted by dots, name first."""
    section = REFERENCE.read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    listed = "\n".join(line for line in section.splitlines() if line.startswith("`") and " · " in line)
    found = re.findall(r"`(\w+)(?:\{([\w,]+)\})?`", re.sub(r"\([^)]*\)", "", listed))
    return {name: set(labels.split(",")) - {""} for name, labels in found}


def series(families: Iterable[Metric]) -> set[str]:
    """Names of ours as the reference writes them."""
    written = {"counter": "_total", "info": "_info"}
    return {
        (family.name + written.get(family.type, "")).removeprefix(PREFIX)
        for family in families
        if family.name.startswith(PREFIX)
    }


@pytest.mark.parametrize("state", ["idle", "busy"])
async def test_every_documented_metric_exists_and_no_other(house: House, state: str) -> None:
    if state == "busy":
        await busy(house)
    families = await scrape(house, "application/openmetrics-text")
    assert series(families.values()) == documented().keys()


async def test_requests_are_counted_by_the_callers_that_there_are(house: House) -> None:
    await busy(house)
    families = await scrape(house, "application/openmetrics-text")
    assert values(families[PREFIX + "caller_requests"]) == {
        ("ci", "answered", "zeebe"): 5,
        ("", "unknown", "zeebe"): 1,
    }


async def test_labels_are_the_documented_ones(house: House) -> None:
    await busy(house)
    families = await scrape(house, "application/openmetrics-text")
    for name, labels in documented().items():
        family = families[PREFIX + name.removesuffix("_total").removesuffix("_info")]
        # The reference's introduction: a credential's metrics have `target` too. Of two names before one
        # list of labels, only the second shows it.
        wanted = labels | ({"target"} if "credential" in labels else set())
        seen = {label for sample in family.samples for label in sample.labels if label != "le"}
        assert seen == (wanted or ({"upstream"} if name == "received_bytes_total" else set())), name


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.0.0", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text", OPENMETRICS),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.3",
            OPENMETRICS,
        ),
        ("Application/OpenMetrics-Text;version=nonsense", OPENMETRICS),
    ],
)
async def test_the_format_is_chosen_by_accept(house: House, accept: str, content_type: str) -> None:
    answer = await house.get("/metrics", {"Accept": accept})
    assert answer.fields["Content-Type"] == content_type
    assert answer.body.endswith(b"# EOF\n") == (content_type == OPENMETRICS)


async def test_both_formats_hold_the_same_samples(house: House) -> None:
    await busy(house)

    def ours(families: dict[str, Metric]) -> dict[tuple[str, ...], float]:
        return {
            (sample.name, *sorted(map("=".join, sample.labels.items()))): sample.value
            for family in families.values()
            for sample in family.samples
            if sample.name.startswith(PREFIX)
        }

    assert ours(await scrape(house)) == ours(await scrape(house, "application/openmetrics-text"))


async def test_counts_of_requests_become_samples(house: House) -> None:
    await busy(house)
    families = await scrape(house)
    assert values(families[PREFIX + "requests"]) == {("2xx", "GET", "zeebe"): 7, ("4xx", "POST", "zeebe"): 1}
    assert values(families[PREFIX + "received_bytes"]) == {("zeebe",): 100}
    assert values(families[PREFIX + "sent_bytes"]) == {("zeebe",): 2000}
    assert values(families[PREFIX + "requests_in_flight"]) == {("zeebe",): 2}
    assert values(families[PREFIX + "problems"]) == {("wrong_host", "zeebe"): 3}
    assert values(families[PREFIX + "upstream_connections"]) == {("idle", "zeebe"): 1, ("active", "zeebe"): 2}
    assert values(families[PREFIX + "upstream_requests_waiting"]) == {("zeebe",): 5}
    repairs = values(families[PREFIX + "repairs"])
    assert repairs["ok", "zeebe"] == 4
    assert repairs["too_soon", "zeebe"] == 0
    assert len(repairs) == 6


async def test_buckets_are_cumulated_up_to_all(house: House) -> None:
    await busy(house)
    families = await scrape(house)
    samples = families[PREFIX + "request_duration_seconds"].samples
    buckets = {s.labels["le"]: s.value for s in samples if s.name.endswith("_bucket")}
    rest = {s.name.rpartition("_")[2]: s.value for s in samples if "le" not in s.labels}

    assert list(buckets.values()) == sorted(buckets.values())
    assert (buckets["0.005"], buckets["0.01"], buckets["0.025"], buckets["300.0"]) == (2, 2, 3, 3)
    assert buckets["+Inf"] == 4
    assert rest == {"count": 4, "sum": pytest.approx(1000.029)}


async def test_a_credential_in_use_has_its_moments_since_1970(house: House) -> None:
    await house.fetched()
    house.clock.jump(60.0)
    families = await scrape(house)
    key = ("saas", "zeebe.camunda.io")
    assert values(families[PREFIX + "credential_expiry_timestamp_seconds"]) == {key: UNIX_TIME + 300.0}
    assert values(families[PREFIX + "credential_last_success_timestamp_seconds"]) == {key: UNIX_TIME}
    assert values(families[PREFIX + "credential_usable"]) == {key: 1}
    assert values(families[PREFIX + "ready"]) == {(): 1}


async def test_a_credential_that_never_was_has_no_moments(house: House) -> None:
    families = await scrape(house)
    assert not families[PREFIX + "credential_expiry_timestamp_seconds"].samples
    assert not families[PREFIX + "credential_last_success_timestamp_seconds"].samples
    assert values(families[PREFIX + "credential_usable"]) == {("saas", "zeebe.camunda.io"): 0}
    assert values(families[PREFIX + "ready"]) == {(): 0}


async def test_an_expired_credential_leaves_the_moment_of_its_success(house: House) -> None:
    await house.fetched()
    house.clock.jump(301.0)
    families = await scrape(house)
    key = ("saas", "zeebe.camunda.io")
    assert not families[PREFIX + "credential_expiry_timestamp_seconds"].samples
    assert values(families[PREFIX + "credential_last_success_timestamp_seconds"]) == {key: UNIX_TIME}
    assert values(families[PREFIX + "credential_usable"]) == {key: 0}


async def test_a_credential_that_never_expires_has_no_expiry(house: House) -> None:
    house.source.life = None
    await house.fetched()
    families = await scrape(house)
    assert not families[PREFIX + "credential_expiry_timestamp_seconds"].samples
    assert values(families[PREFIX + "credential_usable"]) == {("saas", "zeebe.camunda.io"): 1}


async def test_attempts_count_by_outcome(house: House) -> None:
    house.source.script.extend([CredentialUnavailable("no"), CredentialRejected("no")])
    async with running(house.keeper, house.clock):
        await house.clock.advance(120.0)
    families = await scrape(house)
    fetches = {key[1]: value for key, value in values(families[PREFIX + "credential_fetches"]).items()}
    assert {name: count for name, count in fetches.items() if count} == {
        "ok": 1,
        "rejected": 1,
        "unavailable": 1,
    }
    counted = values(families[PREFIX + "credential_fetch_seconds"])
    assert counted["saas", "+Inf", "zeebe.camunda.io"] == 3


async def test_a_credential_that_upstreams_share_is_one(house: House) -> None:
    other = Keeper("saas", house.source, clock=house.clock, target="optimize.camunda.io")
    house.state.upstreams += (view("operate", house.keeper), view("optimize", other))
    families = await scrape(house)
    usable = families[PREFIX + "credential_usable"]
    assert [sample.labels["target"] for sample in usable.samples] == [
        "zeebe.camunda.io",
        "optimize.camunda.io",
    ]
    assert values(families[PREFIX + "received_bytes"]).keys() == {("zeebe",), ("operate",), ("optimize",)}


async def test_what_runs_and_what_it_costs_is_told(house: House) -> None:
    families = await scrape(house, "application/openmetrics-text")
    (build,) = families[PREFIX + "build"].samples
    assert build.labels == {
        "version": "9.8.7",
        "python": platform.python_version(),
        "compiled": "true" if is_compiled() else "false",
    }
    assert build.value == 1
    if platform.system() == "Linux":
        (memory,) = families["process_resident_memory_bytes"].samples
        assert memory.value > 0


async def test_names_cannot_break_out_of_their_label(house: House) -> None:
    name = 'a"b\\c\nd'
    house.state.upstreams = (view(name, house.keeper),)
    families = await scrape(house)
    assert values(families[PREFIX + "received_bytes"]) == {(name,): 0}
