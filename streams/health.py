"""What a worker says about itself: `/metrics`, `/healthz` (is it alive?) and `/readyz` (is it of use yet?).

It runs inside the worker's event loop, so a loop that hangs does not answer: that, too, is an answer.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from streams import access
from streams.metrics import Metrics
from streams.settings import Settings, variable_of

Check = Callable[[], str | None]
"""None when all is well, else one line that says what is not."""


@dataclass(frozen=True, kw_only=True)
class Checks:
    """By name: what must hold for the process to be left running, and what must hold before it is given work."""

    alive: Mapping[str, Check] = field(default_factory=dict)
    ready: Mapping[str, Check] = field(default_factory=dict)


class Heartbeat:
    """The pulse of the worker's loop: `beat` once a turn, and the check fails when a turn takes too long.

    Parameters
    ----------
    gauge : gets the wall clock of each beat.
    limit_s : seconds without a beat after which the loop counts as stuck.
    monotonic_s, wall_s : clocks; other ones in tests.
    """

    def __init__(
        self,
        gauge: Gauge,
        *,
        limit_s: float = 60.0,
        monotonic_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._gauge = gauge
        self._limit_s = limit_s
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._last_s = monotonic_s()

    def beat(self) -> None:
        """Say that the loop turned."""
        self._last_s = self._monotonic_s()
        self._gauge.set(self._wall_s())

    def check(self) -> str | None:
        """Fail when the last beat is too long ago."""
        age_s = self._monotonic_s() - self._last_s
        return None if age_s <= self._limit_s else f"the loop has not turned for {age_s:.0f} s"


async def start(settings: Settings, port: int, metrics: Metrics, checks: Checks) -> web.AppRunner:
    """Serve metrics and checks; the caller ends it with `await runner.cleanup()`.

    Parameters
    ----------
    port : 0 is any free one; `runner.addresses` tells which.

    Raises `SettingsError` when it would listen beyond this machine without a token, `PortTakenError` when the port
    is in use.
    """
    access.demand_token(
        settings.metrics_host,
        settings.metrics_token,
        host_variable=variable_of("metrics_host"),
        token_variable=variable_of("metrics_token"),
    )
    runner = web.AppRunner(application(settings, metrics, checks), access_log=None)
    await access.listen(runner, settings.metrics_host, port, port_variable=variable_of("metrics_port"))
    return runner


def application(settings: Settings, metrics: Metrics, checks: Checks) -> web.Application:
    """Build the three pages. `/healthz` and `/readyz` hold no figures and need no token: orchestrators have none."""

    async def show_metrics(request: web.Request) -> web.Response:
        token = settings.metrics_token
        if token is not None and not access.same_token(token, access.bearer(request)):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def show_alive(_: web.Request) -> web.Response:
        return _answer(checks.alive)

    async def show_ready(_: web.Request) -> web.Response:
        return _answer({**checks.alive, **checks.ready})

    app = web.Application()
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/healthz", show_alive)
    app.router.add_get("/readyz", show_ready)
    return app


def _answer(checks: Mapping[str, Check]) -> web.Response:
    faults = {name: fault for name, check in checks.items() if (fault := check()) is not None}
    lines = [f"{name}: {faults.get(name, 'ok')}" for name in checks] or ["ok"]
    return web.Response(status=503 if faults else 200, text="\n".join(lines) + "\n")
