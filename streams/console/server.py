"""The console's web server: pages, two buttons, and the walls around them.

It listens on this machine alone, or demands a token. Every request must name a host that is ours (a page elsewhere
whose name is made to point here is refused), every form must come from our own page, and the browser is told to run
nothing but our static files.
"""

import asyncio
import hashlib
import hmac
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Literal, Protocol, get_args
from urllib.parse import quote, unquote, urlsplit

import msgspec
from aiohttp import web

from detectors.records import Feedback
from streams import access, audit
from streams import feedback as topic_of_feedback
from streams.console import pages
from streams.console.board import Board
from streams.console.follower import Follower
from streams.console.rates import Rates
from streams.errors import EmberwatchError
from streams.heads import check_heads
from streams.log import get_logger, values
from streams.settings import Secret, Settings, variable_of

ButtonWord = Literal["acknowledge", "dismiss"]

SESSION_S = 12 * 3600
LONGEST_FORM_BYTES = 64 * 1024
WRONG_TOKEN_WAIT_S = 1.0
REQUESTS_PER_S, REQUESTS_AT_ONCE = 20.0, 200
"""Of one client. An open page asks every three seconds."""
LOGINS_PER_S, LOGINS_AT_ONCE = 0.1, 10
AUDITED_FOR_S = 900.0
"""A page that stays open, and asks for itself again and again, is one entry of the audit log in so long."""
MOST_AUDITED = 10_000

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

SESSION_COOKIE = "emberwatch_session"
FORM_COOKIE = "emberwatch_form"
NAME_COOKIE = "emberwatch_by"

_log = get_logger("console")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Outbox(Protocol):
    """Where a person's word goes."""

    async def send(self, feedback: Feedback) -> None:
        """Send, and return when it is safe; raises `EmberwatchError` when it is not."""


class KafkaOutbox:
    """Writes feedback to its topic; the journal brings it back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, feedback: Feedback) -> None:
        """Send one record and wait until the broker has confirmed it."""
        await asyncio.to_thread(topic_of_feedback.send, self._settings, feedback)


class Auditor(Protocol):
    """Where it is written down who saw and did what."""

    async def write(self, entry: audit.Entry) -> None:
        """Write, and return when it is safe; raises `EmberwatchError` when it is not."""


class KafkaAuditor:
    """Writes the audit log to its topic."""

    def __init__(self, settings: Settings) -> None:
        self._log = audit.Log(settings)

    async def write(self, entry: audit.Entry) -> None:
        """Append one entry and wait until the broker has confirmed it."""
        await asyncio.to_thread(self._log.write, entry)


class Guard:
    """Who may see a page, and whether a form is our own.

    Parameters
    ----------
    token : what a reader must show; None admits everybody who reaches the port.
    hosts : values of `Host` that are ours, with their ports.
    wall_s : clock for the end of sessions.
    """

    def __init__(self, token: Secret | None, hosts: AbstractSet[str], wall_s: Callable[[], float] = time.time) -> None:
        self._token = token
        self._hosts = hosts
        self._wall_s = wall_s
        self._key = secrets.token_bytes(32)

    @property
    def needs_token(self) -> bool:
        """Whether readers log in."""
        return self._token is not None

    def is_our_host(self, request: web.Request) -> bool:
        """Tell whether the request was meant for us."""
        return request.headers.get("Host", "").lower() in self._hosts

    def is_same_origin(self, request: web.Request) -> bool:
        """Tell whether a form was sent from a page of ours."""
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site not in {None, "same-origin"}:
            return False
        if origin in {None, "null"}:
            # Our `no-referrer` makes a browser hide the origin of our own forms, too; then it must say the other.
            return origin is None or site == "same-origin"
        return urlsplit(str(origin)).netloc.lower() == request.headers.get("Host", "").lower()

    def has_bearer(self, request: web.Request) -> bool:
        """Tell whether the token came in a header, which no foreign page can make a browser send."""
        return self._token is not None and access.same_token(self._token, access.bearer(request))

    def is_admitted(self, request: web.Request) -> bool:
        """Tell whether the reader may see pages."""
        return self._token is None or self.has_bearer(request) or self._is_session(request)

    def opens(self, token: str) -> bool:
        """Tell whether this is the token."""
        return self._token is not None and access.same_token(self._token, token)

    def new_session(self) -> str:
        """Make the value of a session cookie; it is worth nothing after a restart."""
        expiry = str(int(self._wall_s()) + SESSION_S)
        return f"{expiry}.{self._sign('session', expiry)}"

    def form_token(self, seed: str) -> str:
        """Make what a form must carry, bound to the browser that holds the cookie."""
        return self._sign("form", seed)

    def is_our_form(self, request: web.Request, given: object) -> bool:
        """Tell whether a form carries what we put into it."""
        seed = request.cookies.get(FORM_COOKIE, "")
        return (
            bool(seed)
            and isinstance(given, str)
            and hmac.compare_digest(self.form_token(seed).encode(), given.encode())
        )

    def _is_session(self, request: web.Request) -> bool:
        expiry, _, signature = request.cookies.get(SESSION_COOKIE, "").partition(".")
        if not expiry.isdecimal() or not expiry.isascii():
            return False
        genuine = hmac.compare_digest(self._sign("session", expiry).encode(), signature.encode())
        return genuine and int(expiry) > self._wall_s()

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


class Console:
    """The handlers of one server."""

    def __init__(
        self,
        board: Board,
        outbox: Outbox,
        auditor: Auditor,
        guard: Guard,
        *,
        secure_cookies: bool,
        user_header: str | None = None,
    ) -> None:
        self._board = board
        self._outbox = outbox
        self._auditor = auditor
        self._guard = guard
        self._secure = secure_cookies
        self._user_header = user_header
        self._requests = Rates(REQUESTS_PER_S, REQUESTS_AT_ONCE)
        self._logins = Rates(LOGINS_PER_S, LOGINS_AT_ONCE)
        self._seen: dict[tuple[str, ...], float] = {}
        self._templates = pages.environment()

    def application(self) -> web.Application:
        """Build the routes, with the walls before all of them."""
        app = web.Application(middlewares=[self._walls], client_max_size=LONGEST_FORM_BYTES)
        app.router.add_get("/", self.show_board)
        app.router.add_get("/narratives/{narrative_id}", self.show_narrative)
        app.router.add_post("/reveal", self.take_reveal)
        app.router.add_get("/alerts/{alert_id}", self.show_alert)
        app.router.add_post("/alerts/{alert_id}/feedback", self.take_feedback)
        app.router.add_get("/login", self.show_login)
        app.router.add_post("/login", self.log_in)
        app.router.add_post("/logout", self.log_out)
        app.router.add_get("/healthz", self.show_health)
        app.router.add_static("/static/", pages.STATIC)
        app.on_response_prepare.append(_add_headers)
        return app

    @web.middleware
    async def _walls(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if refusal := await self._refusal(request):
                return refusal
            return await handler(request)
        except web.HTTPRedirection:
            raise
        except web.HTTPException as error:
            return self._message(request, error.status, error.reason, "There is nothing here, or not in this way.")

    async def _refusal(self, request: web.Request) -> web.StreamResponse | None:
        """Give the answer to a request that must not reach a handler."""
        path = request.path
        if path == "/healthz":
            return None
        if (refused := self._refused_unread(request)) is not None:
            return refused
        if request.method == "POST" and not await self._is_our_post(request):
            return self._message(
                request,
                403,
                "Not sent",
                "This form did not come from an open page of this console. Go back and reload.",
            )
        if path == "/login" or path.startswith("/static/") or self._guard.is_admitted(request):
            return None
        if request.method == "GET" and not request.headers.get("Authorization"):
            response = self._render(request, "login.html", {"wrong": False}, status=401)
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        return self._message(request, 401, "Log in first", "The token is missing or wrong.")

    def _refused_unread(self, request: web.Request) -> web.Response | None:
        if not self._guard.is_our_host(request):
            return web.Response(status=421, text="This host name is not ours; set EMBERWATCH_CONSOLE_URL.\n")
        if not self._requests.admits(self._client(request)):
            return web.Response(status=429, text="Too many requests.\n", headers={"Retry-After": "5"})
        return None

    async def _is_our_post(self, request: web.Request) -> bool:
        if self._guard.has_bearer(request):
            return True
        if not self._guard.is_same_origin(request):
            return False
        return self._guard.is_our_form(request, (await request.post()).get("csrf"))

    async def show_board(self, request: web.Request) -> web.StreamResponse:
        """Open alerts."""
        return self._render(request, "board.html", pages.board_page(self._board))

    async def show_narrative(self, request: web.Request) -> web.StreamResponse:
        """Everything about one narrative."""
        page = pages.narrative_page(self._board, request.match_info["narrative_id"], request.query.get("alert"))
        if page is None:
            return self._unknown(request, "narrative")
        try:
            await self._audit_once(request, page.narrative_id)
        except EmberwatchError as error:
            return self._message(request, 503, "Not shown", f"Who sees texts is written down first, and {error}.")
        by = unquote(request.cookies.get(NAME_COOKIE, ""))
        return self._render(request, "narrative.html", {"page": page, "pulse": self._board.pulse(), "by": by})

    async def take_reveal(self, request: web.Request) -> web.StreamResponse:
        """Write down that something covered is uncovered; the page uncovers it when this has been answered."""
        form = await request.post()
        about, what = (str(form.get(name, ""))[:256] for name in ("about", "what"))
        try:
            await self._audit(request, "reveal", about, what)
        except EmberwatchError as error:
            return web.Response(status=503, text=f"{error}\n")
        return web.Response(status=204)

    async def show_alert(self, request: web.Request) -> web.StreamResponse:
        """Send the reader on to the alert's narrative."""
        alert = self._board.alert(request.match_info["alert_id"])
        if alert is None:
            return self._unknown(request, "alert")
        raise web.HTTPSeeOther(_page_of(alert.narrative_id, alert.alert_id))

    async def take_feedback(self, request: web.Request) -> web.StreamResponse:
        """Send a person's word on its way."""
        alert = self._board.alert(request.match_info["alert_id"])
        if alert is None:
            return self._unknown(request, "alert")
        form = await request.post()
        try:
            feedback = _feedback(
                alert.alert_id, alert.narrative_id, {k: v for k, v in form.items() if isinstance(v, str)}
            )
        except ValueError as error:
            return self._message(request, 400, "Not sent", str(error))
        try:
            await self._audit(request, "feedback", alert.alert_id, feedback.word, by=feedback.by)
            await self._outbox.send(feedback)
        except EmberwatchError as error:
            _log.warning("feedback not sent", extra=values(alert_id=alert.alert_id, error=str(error)))
            return self._message(request, 503, "Not sent", f"{error}. Go back and try again.")
        self._board.note_sent(feedback)
        response = web.HTTPSeeOther(_page_of(alert.narrative_id, alert.alert_id))
        self._set_cookie(response, NAME_COOKIE, quote(feedback.by, safe=""), max_age=90 * 86400)
        raise response

    async def show_login(self, request: web.Request) -> web.StreamResponse:
        """Ask for the token."""
        if self._guard.is_admitted(request):
            raise web.HTTPSeeOther("/")
        return self._render(request, "login.html", {"wrong": False})

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Take the token; a wrong one costs a second."""
        if not self._logins.admits(self._client(request)):
            return web.Response(status=429, text="Too many attempts.\n", headers={"Retry-After": "60"})
        opened = self._guard.opens(str((await request.post()).get("token", "")))
        try:
            await self._audit(request, "login" if opened else "login_refused", "console", "")
        except EmberwatchError as error:
            _log.warning("a login is not on the audit log", extra=values(error=str(error)))
        if not opened:
            await asyncio.sleep(WRONG_TOKEN_WAIT_S)
            return self._render(request, "login.html", {"wrong": True}, status=401)
        response = web.HTTPSeeOther("/")
        self._set_cookie(response, SESSION_COOKIE, self._guard.new_session(), max_age=SESSION_S)
        raise response

    async def log_out(self, _: web.Request) -> web.StreamResponse:
        """End the session of this browser."""
        response = web.HTTPSeeOther("/login")
        response.del_cookie(SESSION_COOKIE)
        raise response

    async def show_health(self, _: web.Request) -> web.StreamResponse:
        """Say whether the server answers and the topics can be read; no figures, no token."""
        state = self._board.pulse().state
        healthy = state not in {"lost", "connecting"}
        return web.Response(status=200 if healthy else 503, text=f"board: {state}\n")

    async def _audit_once(self, request: web.Request, narrative_id: str) -> None:
        """Write down a view, unless the same reader's last one is on the log and not long ago."""
        who = (self._reader(request), self._client(request), narrative_id)
        now_s = time.monotonic()
        if now_s - self._seen.get(who, -AUDITED_FOR_S) < AUDITED_FOR_S:
            return
        await self._audit(request, "view", narrative_id, "")
        self._seen.pop(who, None)
        self._seen[who] = now_s
        if len(self._seen) > MOST_AUDITED:
            del self._seen[next(iter(self._seen))]

    async def _audit(
        self, request: web.Request, what: audit.What, about: str, detail: str, *, by: str | None = None
    ) -> None:
        await self._auditor.write(
            audit.Entry(
                what=what,
                by=(by or self._reader(request))[:128],
                about=about,
                detail=detail,
                client=self._client(request),
                at=datetime.now(UTC),
            )
        )

    def _reader(self, request: web.Request) -> str:
        """Name of who reads: the proxy's word where there is one, else what the reader last called themselves."""
        named = request.headers.get(self._user_header, "") if self._user_header else ""
        return named or unquote(request.cookies.get(NAME_COOKIE, "")) or "unknown"

    def _client(self, request: web.Request) -> str:
        """Where a request comes from; behind a proxy that names readers, one client is one reader."""
        named = request.headers.get(self._user_header, "") if self._user_header else ""
        return f"{request.remote or 'unknown'} {named}".strip()[:256]

    def _unknown(self, request: web.Request, what: str) -> web.Response:
        following = self._board.pulse().state in {"live", "stalled", "ended", "empty"}
        text = f"No such {what}: it may be past its retention." if following else "The topics are still being read."
        return self._message(request, 404 if following else 503, "Not found", text)

    def _message(self, request: web.Request, status: int, heading: str, text: str) -> web.Response:
        return self._render(request, "message.html", {"heading": heading, "text": text}, status=status)

    def _render(
        self, request: web.Request, template: str, context: dict[str, object], *, status: int = 200
    ) -> web.Response:
        seed = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
        shared = {"csrf": self._guard.form_token(seed), "logged_in": self._guard.needs_token}
        html = self._templates.get_template(template).render(**shared, **context)
        response = web.Response(text=html, content_type="text/html", status=status)
        if FORM_COOKIE not in request.cookies:
            self._set_cookie(response, FORM_COOKIE, seed)
        return response

    def _set_cookie(self, response: web.StreamResponse, name: str, value: str, max_age: int | None = None) -> None:
        response.set_cookie(
            name, value, max_age=max_age, httponly=True, samesite="Strict", secure=self._secure, path="/"
        )


async def start(settings: Settings, board: Board, outbox: Outbox, auditor: Auditor) -> web.AppRunner:
    """Serve a board; the caller ends it with `await runner.cleanup()`.

    Raises `SettingsError` when it would listen beyond this machine without a token, `PortTakenError` when the port
    is in use.
    """
    access.demand_token(
        settings.console_host,
        settings.console_token,
        host_variable=variable_of("console_host"),
        token_variable=variable_of("console_token"),
    )
    hosts: set[str] = set()
    guard = Guard(settings.console_token, hosts)
    console = Console(
        board,
        outbox,
        auditor,
        guard,
        secure_cookies=settings.console_url.startswith("https:"),
        user_header=settings.console_user_header,
    )
    runner = web.AppRunner(console.application(), access_log=None)
    port = await access.listen(
        runner, settings.console_host, settings.console_port, port_variable=variable_of("console_port")
    )
    hosts |= our_hosts(settings, port)
    return runner


def our_hosts(settings: Settings, port: int) -> set[str]:
    """Values of `Host` under which the console is meant to be reached.

    >>> sorted(our_hosts(Settings(console_url="https://watch.example.org"), 8080))
    ['127.0.0.1:8080', '[::1]:8080', 'localhost:8080', 'watch.example.org']
    """
    hosts = {f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}", urlsplit(settings.console_url).netloc.lower()}
    if settings.console_host not in {"0.0.0.0", "::", "::1"}:  # noqa: S104 # those are not names to be asked for
        hosts.add(f"{settings.console_host}:{port}".lower())
    return hosts


def run(settings: Settings) -> None:
    """Follow the topics and serve the pages until the process is told to end."""
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    check_heads(settings)
    board = Board(own_heads=settings.heads)
    follower = Follower(settings, board)
    runner = await start(settings, board, KafkaOutbox(settings), KafkaAuditor(settings))
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    follower.start()
    host, port = runner.addresses[0][:2]
    _log.info("console ready", extra=values(url=f"http://{host}:{port}"))
    try:
        await stop.wait()
    finally:
        await runner.cleanup()
        await asyncio.to_thread(follower.stop)


def _page_of(narrative_id: str, alert_id: str) -> str:
    return f"/narratives/{quote(narrative_id, safe='')}?alert={quote(alert_id, safe='')}"


def _feedback(alert_id: str, narrative_id: str, form: dict[str, str]) -> Feedback:
    """Make the record of a form; raises `ValueError` with words for the person who filled it in."""
    word, by, note = form.get("word", ""), form.get("by", "").strip(), form.get("note", "").strip()
    if word not in get_args(ButtonWord):
        raise ValueError(f"There is no such word here: {word[:40]!r}.")
    if not by:
        raise ValueError("Say who you are.")
    given = {
        "feedback_id": secrets.token_hex(16),
        "by": by,
        "at": datetime.now(UTC),
        "word": word,
        "alert_id": alert_id,
        "narrative_id": narrative_id,
        "note": note or None,
    }
    try:
        return msgspec.convert(given, Feedback)
    except msgspec.ValidationError as error:
        raise ValueError(f"That cannot be sent: {error}.") from None


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
