"""Who may reach a port: this machine alone, or whoever shows a token."""

import hmac
import ipaddress
import os

from aiohttp import web

from streams.errors import EmberwatchError, SettingsError
from streams.settings import Secret


class PortTakenError(EmberwatchError, OSError):
    """Another process already listens on the port."""


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def demand_token(host: str, token: Secret | None, *, host_variable: str, token_variable: str) -> None:
    """Refuse to listen beyond this machine without a token; raises `SettingsError`."""
    if token is None and not is_loopback(host):
        raise SettingsError(f"{token_variable}: needed, because {host_variable}={host} listens beyond this machine")


def same_token(token: Secret, given: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    return hmac.compare_digest(token.reveal().encode(), given.encode())


def bearer(request: web.BaseRequest) -> str:
    """Token in the `Authorization` header; empty without one."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


async def listen(runner: web.BaseRunner, host: str, port: int, *, port_variable: str) -> int:
    """Listen, and give the port (a free one was found where 0 was asked for); raises `PortTakenError`."""
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        # asyncio writes a sentence of its own into `strerror`; the number still tells which fault it is.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise PortTakenError(f"{port_variable}: cannot listen on {host}:{port}: {why}") from error
    return int(runner.addresses[0][1])
