import gzip
import json
import os
import sys

import msgspec
import pytest
from prometheus_client import CollectorRegistry, start_http_server

from detectors.codec import decode_record
from detectors.records import Alert
from streams import topics
from streams.embedded_broker import free_port
from streams.kafka_clients import read_to_end
from streams.leash import Child
from streams.metrics import Metrics
from streams.publish import publish_claims, publish_posts
from streams.sample import CLAIMS, POSTS
from streams.settings import PREFIX
from streams.topics import topic_name

pytestmark = pytest.mark.prometheus

LEAST_CLAIMS = 10
"""Entries of the journal by which the fact-checks are in it, so that the posts come after them."""


@pytest.fixture
def worker():
    """Metrics of a worker, and the address that serves them."""
    metrics = Metrics(CollectorRegistry())
    server, thread = start_http_server(0, addr="127.0.0.1", registry=metrics.registry)
    yield metrics, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_reaches_the_webhook_with_its_link_and_is_resolved_when_its_alert_clears(
    watching, wait_for, worker, alert
):
    metrics, address = worker
    with watching(score=[address], monitor=[address], console_url="https://console.example.org") as watch:
        metrics.alert_published(alert("f3a1", "page", "false_narrative"))
        metrics.alert_published(alert("77c0", "notice", "incitement"))
        metrics.alert_published(alert("04bd", "watch", "viral"))

        pages = wait_for("page", lambda: watch.webhook.alerts("pager", "EmberwatchPage"))
        assert pages[0]["labels"] == {
            "alertname": "EmberwatchPage",
            "severity": "page",
            "concern": "narrative",
            "alert_id": "f3a1",
            "kind": "false_narrative",
        }
        assert pages[0]["annotations"]["console_url"] == "https://console.example.org/alerts/f3a1"

        wait_for("notice", lambda: watch.webhook.alerts("team", "EmberwatchNotice"))
        wait_for("dead man's switch", lambda: watch.webhook.alerts("deadman", "EmberwatchDeadMansSwitch"))
        assert watch.query('ALERTS{alertname="EmberwatchWatch", alert_id="04bd", alertstate="firing"}')

        metrics.alert_published(alert("f3a1", "page", "false_narrative", transition="cleared"))
        resolved = wait_for("end of it", lambda: watch.webhook.alerts("pager", "EmberwatchPage", status="resolved"))
        assert resolved[0]["labels"]["alert_id"] == "f3a1"

        told = {(receiver, told["labels"]["alertname"]) for receiver, told in watch.webhook.received}
        assert {receiver for receiver, name in told if name == "EmberwatchWatch"} == set()
        assert {name for receiver, name in told if receiver == "pager"} == {"EmberwatchPage"}


def test_a_notice_that_becomes_a_page_is_told_as_a_page_alone(watching, wait_for, worker, alert):
    metrics, address = worker
    with watching(score=[address], monitor=[address]) as watch:
        metrics.alert_published(alert("a1", "page", "incitement"))
        wait_for("page", lambda: watch.webhook.alerts("pager", "EmberwatchPage"))
        other_worker = Metrics(CollectorRegistry())
        other_worker.alert_published(alert("a1", "notice", "incitement"))
        metrics.registry.register(_Also(other_worker))

        wait_for(
            "notice in Prometheus",
            lambda: watch.query('ALERTS{alertname="EmberwatchNotice", alert_id="a1", alertstate="firing"}'),
        )
        metrics.alert_published(alert("b2", "notice", "viral"))
        wait_for("notice of another", lambda: watch.webhook.alerts("team", "EmberwatchNotice"))

        assert {told["labels"]["alert_id"] for told in watch.webhook.alerts("team", "EmberwatchNotice")} == {"b2"}


@pytest.fixture
def workers(broker, tmp_path):
    """Workers of both stages with the default model on the embedded broker, and where each serves its metrics."""
    topics.create(broker)
    children, addresses = [], {}
    environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    for stage in ("score", "monitor"):
        settings = msgspec.structs.replace(broker, model="", metrics_port=free_port())
        addresses[stage] = [f"127.0.0.1:{settings.metrics_port}"]
        command = [sys.executable, "-m", "streams.cli", "worker", stage]
        log = tmp_path / f"{stage}.log"
        children.append(Child(command, log=log, environment={**environment, **settings.environment()}))
    yield addresses
    for child in children:
        child.stop()


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_page_of_the_sample_goes_the_whole_way_from_a_post_to_the_webhook(
    watching, wait_for, broker, workers, tmp_path
):
    rumour = tmp_path / "rumour.jsonl"
    with gzip.open(POSTS, "rt", encoding="utf-8") as lines:
        rumour.write_text("".join([line for line in lines if json.loads(line)["gold"].get("story") == "rumour"][:250]))
    publish_claims(broker, CLAIMS)
    journal = [topic_name(broker, "journal")]
    wait_for("claims in the journal", lambda: len(list(read_to_end(broker, journal))) > LEAST_CLAIMS, timeout_s=120.0)
    publish_posts(broker, rumour, speed=0.0)
    with watching(**workers, console_url="https://console.example.org") as watch:
        pages = wait_for("page", lambda: watch.webhook.alerts("pager", "EmberwatchPage"), timeout_s=300.0)
        published = [
            decode_record(Alert, record.value) for record in read_to_end(broker, [topic_name(broker, "alerts")])
        ]
    paged = {alert.alert_id: alert for alert in published if alert.severity == "page"}
    told = pages[0]
    assert told["labels"]["alert_id"] in paged
    assert told["annotations"]["console_url"] == f"https://console.example.org/alerts/{told['labels']['alert_id']}"
    assert "false_narrative" in paged[told["labels"]["alert_id"]].kinds


class _Also:
    """The open alerts of a second worker, on the first one's page: a shard that changes hands."""

    def __init__(self, other):
        self._other = other

    def describe(self):
        return []

    def collect(self):
        yield next(self._other.open_alerts.collect())
