import pytest
from prometheus_client import CollectorRegistry, start_http_server

from streams.metrics import Metrics

pytestmark = pytest.mark.prometheus


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


class _Also:
    """The open alerts of a second worker, on the first one's page: a shard that changes hands."""

    def __init__(self, other):
        self._other = other

    def describe(self):
        return []

    def collect(self):
        yield next(self._other.open_alerts.collect())
