import asyncio
import contextlib

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from streams import health
from streams.access import PortTakenError
from streams.errors import SettingsError
from streams.health import Checks, Heartbeat
from streams.metrics import Metrics
from streams.settings import Secret, Settings


@contextlib.asynccontextmanager
async def served(settings=None, checks=None, port=0):
    metrics = Metrics(CollectorRegistry())
    runner = await health.start(settings or Settings(), port, metrics, checks or Checks())
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def get(url, **headers):
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text()


def test_metrics_are_served_as_prometheus_reads_them():
    async def scenario():
        async with served() as url:
            return await get(f"{url}/metrics")

    status, text = asyncio.run(scenario())
    assert status == 200
    assert 'emberwatch_posts_scored_total{outcome="scored"} 0.0' in text


def test_a_worker_is_ready_only_when_every_check_passes_and_says_which_does_not():
    faults = {"state": "loading the snapshot"}
    checks = Checks(alive={"loop": lambda: None}, ready={"state": lambda: faults.get("state")})

    async def scenario():
        async with served(checks=checks) as url:
            alive, before = await get(f"{url}/healthz"), await get(f"{url}/readyz")
            faults.clear()
            return alive, before, await get(f"{url}/readyz")

    alive, before, after = asyncio.run(scenario())
    assert alive == (200, "loop: ok\n")
    assert before == (503, "loop: ok\nstate: loading the snapshot\n")
    assert after == (200, "loop: ok\nstate: ok\n")


def test_a_dead_worker_is_not_ready_either():
    async def scenario():
        async with served(checks=Checks(alive={"loop": lambda: "stuck"})) as url:
            return await get(f"{url}/readyz")

    assert asyncio.run(scenario()) == (503, "loop: stuck\n")


def test_a_loop_that_does_not_turn_fails_its_heartbeat_and_recovers_with_the_next_beat():
    now_s = [100.0]
    registry = CollectorRegistry()
    heartbeat = Heartbeat(
        Metrics(registry).heartbeat, limit_s=30, monotonic_s=lambda: now_s[0], wall_s=lambda: now_s[0] + 1e9
    )
    heartbeat.beat()
    assert registry.get_sample_value("emberwatch_heartbeat_timestamp_seconds") == 1e9 + 100
    now_s[0] = 130.0
    assert heartbeat.check() is None
    now_s[0] = 131.0
    assert heartbeat.check() == "the loop has not turned for 31 s"
    heartbeat.beat()
    assert heartbeat.check() is None


def test_a_port_in_use_is_named_in_one_line():
    async def scenario():
        async with served() as url:
            port = int(url.rpartition(":")[2])
            with pytest.raises(PortTakenError, match=f"EMBERWATCH_METRICS_PORT: cannot listen on 127.0.0.1:{port}"):
                async with served(port=port):
                    pass

    asyncio.run(scenario())


def test_metrics_beyond_this_machine_demand_a_token():
    async def scenario():
        with pytest.raises(SettingsError, match="EMBERWATCH_METRICS_TOKEN: needed"):
            await health.start(Settings(metrics_host="0.0.0.0"), 0, Metrics(CollectorRegistry()), Checks())

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic s3cret"}, 401),
        ({"Authorization": "Bearer s3cret"}, 200),
    ],
)
def test_a_token_opens_the_metrics_and_nothing_else_does(headers, status):
    async def scenario():
        async with served(Settings(metrics_token=Secret("s3cret"))) as url:
            return (await get(f"{url}/metrics", **headers))[0], (await get(f"{url}/healthz"))[0]

    assert asyncio.run(scenario()) == (status, 200)
