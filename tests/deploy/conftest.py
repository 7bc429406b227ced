"""The real Prometheus and Alertmanager, with the configuration that is shipped, and a webhook that listens."""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
import yaml

from detectors.records import Alert

DEPLOY = Path(__file__).parents[2] / "deploy"

SCORE, MONITOR = "emberwatch-score", "emberwatch-monitor"
NOW = datetime(2026, 11, 20, 18, 5, tzinfo=UTC)


def tool(*names):
    """Path of a program by one of its names; the test is skipped where none is installed."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"{names[0]} is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url, timeout_s=5.0):
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return answer.read().decode()


def wait_for(what, condition, timeout_s=30.0):
    """Give the first true answer of `condition`, or fail with the name of what did not come."""
    give_up_at = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at:
        if answer := condition():
            return answer
        time.sleep(0.1)
    pytest.fail(f"no {what} within {timeout_s:.0f} s")


@dataclass
class Webhook:
    """An HTTP server that keeps what it is sent: (receiver, alert), each alert as Alertmanager words it."""

    received: list[tuple[str, dict]] = field(default_factory=list)
    url: str = ""

    def alerts(self, receiver, alertname, status="firing"):
        return [
            alert
            for name, alert in list(self.received)
            if (name, alert["labels"]["alertname"], alert["status"]) == (receiver, alertname, status)
        ]


@contextlib.contextmanager
def listening_webhook() -> Iterator[Webhook]:
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            webhook.received += [(self.path.strip("/"), alert) for alert in body["alerts"]]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    webhook.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Watch:
    """A running Prometheus and Alertmanager, and the webhook behind them."""

    prometheus_url: str
    alertmanager_url: str
    webhook: Webhook

    def query(self, expr):
        """Answer of an instant query: a list of series."""
        url = f"{self.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        try:
            return json.loads(fetch(url))["data"]["result"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{expr}\n{json.loads(error.read())['error']}")

    def rules(self):
        """Every rule as Prometheus holds it, with `health` and `lastError`."""
        groups = json.loads(fetch(f"{self.prometheus_url}/api/v1/rules"))["data"]["groups"]
        return [{"lastError": "", **rule} for group in groups for rule in group["rules"]]


def render(folder: Path, targets: dict[str, Sequence[str]], *, alertmanager: str, webhook: str, console_url: str):
    """Write the shipped configuration with other addresses and shorter waits; everything else stays as it is.

    Addresses: targets, Alertmanager, receivers, console. Waits: the two intervals of Prometheus and `keep_firing_for`
    become one second, `group_wait` and `group_interval` of Alertmanager as well.
    """
    prometheus = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    prometheus["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    prometheus["global"]["external_labels"]["console_url"] = console_url
    prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    for job in prometheus["scrape_configs"]:
        job["static_configs"] = [{"targets": list(targets.get(job["job_name"], ()))}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus))

    rules = (DEPLOY / "prometheus/emberwatch.rules.yml").read_text()
    (folder / "emberwatch.rules.yml").write_text(rules.replace("keep_firing_for: 5m", "keep_firing_for: 1s"))

    routes = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    for route in [routes["route"], *routes["route"]["routes"]]:
        route |= {"group_wait": "0s", "group_interval": "1s"}
    text = yaml.safe_dump(routes).replace("http://127.0.0.1:9095", webhook)
    (folder / "alertmanager.yml").write_text(text)


@contextlib.contextmanager
def process(arguments, log: Path) -> Iterator[None]:
    """Run a program until the block ends; its output goes to `log`."""
    with log.open("wb") as output:
        child = subprocess.Popen([str(argument) for argument in arguments], stdout=output, stderr=output)
        try:
            yield
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def answers(url):
    try:
        return fetch(url) is not None
    except OSError:
        return False


@contextlib.contextmanager
def watching(
    folder: Path,
    *,
    score: Sequence[str] = (),
    monitor: Sequence[str] = (),
    console_url: str = "http://127.0.0.1:8080",
) -> Iterator[Watch]:
    """Run Prometheus and Alertmanager over these targets (`host:port` of score and monitor workers)."""
    prometheus, alertmanager = tool("prometheus"), tool("prometheus-alertmanager", "alertmanager")
    prometheus_address, alertmanager_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
    targets = {SCORE: score, MONITOR: monitor}
    with listening_webhook() as webhook, contextlib.ExitStack() as processes:
        render(folder, targets, alertmanager=alertmanager_address, webhook=webhook.url, console_url=console_url)
        processes.enter_context(
            process(
                [
                    alertmanager,
                    f"--config.file={folder / 'alertmanager.yml'}",
                    f"--storage.path={folder / 'alertmanager'}",
                    f"--web.listen-address={alertmanager_address}",
                    "--cluster.listen-address=",
                ],
                folder / "alertmanager.log",
            )
        )
        processes.enter_context(
            process(
                [
                    prometheus,
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'prometheus'}",
                    f"--web.listen-address={prometheus_address}",
                    # What fires before Alertmanager is found (five seconds) is sent again after so long, not a minute.
                    "--rules.alert.resend-delay=5s",
                ],
                folder / "prometheus.log",
            )
        )
        watch = Watch(f"http://{prometheus_address}", f"http://{alertmanager_address}", webhook)
        for name, url in (("Prometheus", watch.prometheus_url), ("Alertmanager", watch.alertmanager_url)):
            wait_for(name, lambda url=url: answers(f"{url}/-/ready"))
        yield watch


def alert(alert_id, severity, kind, transition="opened"):
    """A revision of an alert with as much in it as the metrics read; the rest is empty."""
    blank = {
        "revision": 1,
        "epoch": 1,
        "narrative_id": "n",
        "event_id": "e",
        "reasons": [],
        "counts": dict.fromkeys(
            ("posts", "authors", "reshares", "replies", "late", "window_s", "window_posts", "window_authors"), 0
        ),
        "growth": {"state": "bursting", "velocity_per_s": 1, "expected": 1, "basis": "own_history", "burst_z": 9},
        "forecast": None,
        "stance": {},
        "matched_claims": [],
        "verdict": "unreviewed",
        "coordination": None,
        "spread": {"platforms": {}, "languages": {}, "communities": {}},
        "exemplars": [],
        "label": "",
        "merged_into": None,
        "data_health": {"watermark_at": NOW, "behind_s": 0, "late_ratio": 0, "silent_partitions": 0},
        "model": "m",
        "config_hash": "c",
        "first_seen": NOW,
        "detected_at": NOW,
        "changed_at": NOW,
        "review": {},
        "handling": {"contains_named_person": False, "retain_until": NOW},
    }
    head = {"alert_id": alert_id, "severity": severity, "kinds": [kind], "transition": transition}
    return msgspec.convert(blank | head, Alert)


@pytest.fixture(name="alert")
def alert_fixture():
    return alert


@pytest.fixture(name="watching")
def watching_fixture(tmp_path):
    """`with watching(score=[...], monitor=[...]) as watch:` and then `watch.webhook`, `watch.query`."""
    return lambda **targets: watching(tmp_path, **targets)


@pytest.fixture(name="wait_for")
def wait_for_fixture():
    return wait_for


@pytest.fixture(name="tool")
def tool_fixture():
    return tool
