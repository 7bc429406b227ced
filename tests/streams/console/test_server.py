import asyncio
import re
import time

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from streams.access import PortTakenError
from streams.console import server
from streams.errors import EmberwatchError, SettingsError
from streams.settings import Secret, Settings


class Outbox:
    """Keeps what was sent, or refuses it."""

    def __init__(self, fault=None):
        self.sent = []
        self.fault = fault

    async def send(self, feedback):
        if self.fault:
            raise EmberwatchError(self.fault)
        self.sent.append(feedback)


class Auditor:
    """Keeps the entries, or refuses them."""

    def __init__(self, fault=None):
        self.entries = []
        self.fault = fault

    async def write(self, entry):
        if self.fault:
            raise EmberwatchError(self.fault)
        self.entries.append(entry)

    def words(self):
        return [(entry.what, entry.by, entry.about, entry.detail) for entry in self.entries]


class Visit:
    """A browser as far as cookies go, at a console that serves the story."""

    def __init__(self, story, outbox=None, auditor=None, **settings):
        self.board = story.board(time.time)
        self.auditor = auditor or Auditor()
        self.outbox = outbox or Outbox()
        self.settings = Settings(console_port=0, **settings)

    async def __aenter__(self):
        self.runner = await server.start(self.settings, self.board, self.outbox, self.auditor)
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        return self

    async def __aexit__(self, *_):
        await self.session.close()
        await self.runner.cleanup()

    async def get(self, path="/", **headers):
        async with self.session.get(self.url + path, headers=headers) as response:
            return response, await response.text()

    async def post(self, path, data, *, csrf="own", **headers):
        form = dict(data)
        if csrf == "own":
            _, html = await self.get("/narratives/n-water")
            form["csrf"] = self.csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', html)[1]
        elif csrf is not None:
            form["csrf"] = csrf
        async with self.session.post(self.url + path, data=form, headers=headers, allow_redirects=False) as response:
            return response, await response.text()


ANSWER = {"word": "acknowledge", "by": "Ann Ö", "note": "on it"}


def visit(scenario, story, **arguments):
    async def run():
        async with Visit(story, **arguments) as console:
            return await scenario(console)

    return asyncio.run(run())


def test_the_board_shows_open_alerts_and_how_alive_the_input_is(story):
    async def scenario(console):
        return await console.get()

    response, html = visit(scenario, story)
    assert response.status == 200
    for words in ("water poisoned plant brunnby", "2 narratives about one event", "Live", "Silent partitions"):
        assert words in html
    for words in ("Late posts", "Language not judged"):
        assert words in html
    assert "unreviewed, last word by <bdi>Kim</bdi>" in html
    assert "festival line-up rumours" in html.partition("Recently closed")[2]


def test_unverified_and_viral_never_read_as_false(story):
    async def scenario(console):
        return (await console.get("/"))[1], (await console.get("/narratives/n-joke"))[1]

    board, joke = visit(scenario, story)
    card = board.partition('id="card-a-joke"')[2].partition("</article>")[0]
    assert "unverified" in card
    assert "false" not in card.lower()
    main = joke.partition('id="what"')[2].partition('id="timeline"')[0]
    assert "unverified" in main
    assert "false" not in main.lower()


def test_an_empty_board_says_whether_it_is_quiet_or_dead(story):
    async def scenario(console):
        for alert in console.board.open_alerts():
            console.board.forget_alert(alert.alert_id)
        quiet = (await console.get())[1]
        console.board.lost("no broker answers at 127.0.0.1:1")
        return quiet, (await console.get())[1]

    quiet, dead = visit(scenario, story)
    assert "it is quiet" in quiet
    assert "this says nothing about what is being posted" in dead
    assert "no broker answers at 127.0.0.1:1" in dead


def test_an_alert_leads_to_its_narrative(story):
    async def scenario(console):
        return await console.get("/alerts/a-water")

    response, html = visit(scenario, story)
    assert response.url.path_qs == "/narratives/n-water?alert=a-water"
    for words in ("Why it was raised", "against 2.1", "The water of Brunnby", "typical at this age", "Keep until"):
        assert words in html
    for words in ("shared: <bdi>brunnby, poisoned</bdi>", "differs: <bdi>only the claim has 2019</bdi>"):
        assert words in html
    assert "In the last 10 minutes, against all before" in html
    assert "<dt>deny it</dt><dd>52 % (14 %)</dd>" in html.replace("52%", "52 %").replace("14%", "14 %")


def test_an_alert_whose_narrative_is_not_there_yet_still_has_a_page(story):
    async def scenario(console):
        return await console.get("/alerts/a-march")

    response, html = visit(scenario, story)
    assert response.status == 200
    assert "No texts" in html


@pytest.mark.parametrize("path", ["/alerts/none", "/narratives/none", "/none", "/static/none.js"])
def test_what_is_not_there_is_a_page_with_status_404(story, path):
    async def scenario(console):
        return await console.get(path)

    assert visit(scenario, story)[0].status == 404


def test_the_name_of_a_person_is_concealed_wherever_it_would_show(story):
    async def scenario(console):
        return [(await console.get(path))[1] for path in ("/", "/narratives/n-named")]

    for html in visit(scenario, story):
        concealed = re.sub(r"<span id=\"[^\"]+\" hidden>.*?</span>", "", html, flags=re.DOTALL)
        assert "Jane Roe" in html
        assert "Jane Roe" not in concealed


def test_the_name_of_an_accused_person_is_taken_out_of_texts_and_claims_and_waits_for_a_click(story):
    async def scenario(console):
        return [(await console.get(path))[1] for path in ("/", "/narratives/n-suspect")]

    board, page = visit(scenario, story)
    assert "Falk" not in board
    concealed = re.sub(r"<span id=\"names\" hidden>.*?</span>", "", page, flags=re.DOTALL)
    assert "Egon Falk" in page
    assert "Falk" not in concealed
    assert "The attacker is [name withheld], share this" in page
    assert "[name withheld] attacked the dance hall" in page


def test_the_name_of_a_possible_minor_is_never_offered(story):
    async def scenario(console):
        return (await console.get("/narratives/n-minor"))[1]

    page = visit(scenario, story)
    assert "may be a minor, so the name is not shown here at all" in page
    assert 'id="names"' not in page


def test_acting_alike_is_shown_as_a_share_against_chance_and_never_as_an_accusation(story):
    async def scenario(console):
        return [(await console.get(path))[1] for path in ("/", "/narratives/n-suspect", "/narratives/n-joke")]

    board, page, joke = visit(scenario, story)
    assert "23 % of accounts act alike" in board
    assert "14 of 60 accounts (14 to 35 % of all) act alike" in page
    assert "by chance 0.3 would" in page
    assert "Accounts as they count for reach: 256 of 287" in page
    assert "under crisis" in board.lower()
    assert "Acting alike" not in joke
    assert not re.search(r"\bbots?\b", page, re.IGNORECASE)


def test_every_answer_carries_the_headers_that_keep_foreign_code_out(story):
    async def scenario(console):
        return [(await console.get(path))[0].headers for path in ("/", "/none", "/static/console.js", "/healthz")]

    for headers in visit(scenario, story):
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_pages_hold_no_inline_script_or_style_and_ask_nobody_else_for_anything(story):
    async def scenario(console):
        return [(await console.get(path))[1] for path in ("/", "/narratives/n-water")]

    for html in visit(scenario, story):
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
        assert all(url.startswith("/") for url in re.findall(r'(?:src|action)="([^"]+)"', html))


def test_texts_labels_and_notes_are_escaped(story):
    hostile = story.hostile[:400]

    async def scenario(console):
        review = msgspec.structs.replace(story.alert().review, state=hostile, by=hostile, note=hostile)
        console.board.put_alert(
            story.alert(event_id="e-water", revision=9, label=hostile, verdict=hostile, review=review)
        )
        console.board.put_narrative(
            story.narrative(
                label=hostile,
                why_now=hostile,
                exemplars=(story.exemplar("p", "earliest", hostile, platform=hostile[:64], indicators=(hostile,)),),
                matched_claims=(
                    msgspec.structs.replace(story.claim, claim=hostile, publisher=hostile, rating=hostile),
                ),
                spread=msgspec.structs.replace(story.alert().spread, communities={hostile: 1}),
            )
        )
        return [(await console.get(path))[1] for path in ("/", "/narratives/n-water")]

    for html in visit(scenario, story):
        assert "<script>window" not in html
        assert "<img src=x" not in html
        assert "\u202e" not in html
        assert "&lt;script&gt;window.owned" in html


def test_a_link_of_a_claim_is_followed_only_to_the_web(story):
    async def scenario(console):
        claim = msgspec.structs.replace(story.claim, url="javascript:alert(1)")
        console.board.put_narrative(story.narrative("n-joke", matched_claims=(claim,)))
        return (await console.get("/narratives/n-water"))[1], (await console.get("/narratives/n-joke"))[1]

    good, bad = visit(scenario, story)
    assert '<a href="https://facts.example/123" rel="noopener noreferrer"' in good
    assert "javascript:" not in bad
    assert "not a web address" in bad


def test_a_button_sends_feedback_and_the_page_waits_for_it_to_come_back(story):
    async def scenario(console):
        response, _ = await console.post("/alerts/a-water/feedback", ANSWER, Origin=console.url)
        _, html = await console.get(response.headers["Location"])
        return response, html, console.outbox.sent

    response, html, sent = visit(scenario, story)
    assert response.status == 303
    assert [(f.word, f.by, f.note, f.alert_id, f.narrative_id) for f in sent] == [
        ("acknowledge", "Ann Ö", "on it", "a-water", "n-water")
    ]
    assert "“acknowledge” sent, waiting for the journal" in html
    assert 'name="by" value="Ann Ö"' in html


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"word": "removed"}, "no such word"), ({"by": " "}, "Say who you are"), ({"by": "x" * 200}, "cannot be sent")],
)
def test_a_form_that_cannot_be_sent_says_why(story, changed, words):
    async def scenario(console):
        return *await console.post("/alerts/a-water/feedback", ANSWER | changed), console.outbox.sent

    response, html, sent = visit(scenario, story)
    assert response.status == 400
    assert words in html
    assert sent == []


def test_a_word_that_the_broker_does_not_confirm_is_not_shown_as_sent(story):
    async def scenario(console):
        response, html = await console.post("/alerts/a-water/feedback", ANSWER)
        return response, html, console.board.sent("a-water")

    response, html, waiting = visit(scenario, story, outbox=Outbox("the broker did not confirm"))
    assert response.status == 503
    assert "the broker did not confirm" in html
    assert waiting is None


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "ÿ"])
def test_a_form_without_our_token_is_refused(story, csrf):
    async def scenario(console):
        return (await console.post("/alerts/a-water/feedback", ANSWER, csrf=csrf))[0], console.outbox.sent

    response, sent = visit(scenario, story)
    assert response.status == 403
    assert sent == []


@pytest.mark.parametrize(
    "header", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_from_elsewhere_is_refused_even_with_our_token(story, header):
    async def scenario(console):
        return (await console.post("/alerts/a-water/feedback", ANSWER, **header))[0], console.outbox.sent

    response, sent = visit(scenario, story)
    assert response.status == 403
    assert sent == []


def test_a_form_whose_origin_the_browser_hides_must_be_said_to_be_ours(story):
    async def scenario(console):
        hidden = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
        return (await console.post("/alerts/a-water/feedback", ANSWER, **hidden))[0].status

    assert visit(scenario, story) == 303


def test_a_form_token_is_worth_nothing_in_another_browser(story):
    async def scenario(console):
        _, html = await console.get("/narratives/n-water")
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', html)[1]
        console.session.cookie_jar.clear()
        return (await console.post("/alerts/a-water/feedback", ANSWER, csrf=token))[0]

    assert visit(scenario, story).status == 403


def test_a_host_name_that_is_not_ours_is_refused(story):
    async def scenario(console):
        return (await console.get("/", Host="rebound.example"))[0].status

    assert visit(scenario, story) == 421


def test_beyond_this_machine_a_token_is_demanded(story):
    async def scenario(_):
        raise AssertionError

    with pytest.raises(SettingsError, match="EMBERWATCH_CONSOLE_TOKEN: needed"):
        visit(scenario, story, console_host="0.0.0.0")


def test_a_port_in_use_is_named(story):
    async def scenario(console):
        port = int(console.url.rpartition(":")[2])
        taken = msgspec.structs.replace(console.settings, console_port=port)
        with pytest.raises(PortTakenError, match=f"EMBERWATCH_CONSOLE_PORT: cannot listen on 127.0.0.1:{port}"):
            await server.start(taken, console.board, console.outbox, console.auditor)

    visit(scenario, story)


def test_with_a_token_nothing_is_shown_before_it_is_given(story):
    async def scenario(console):
        paths = ("/", "/narratives/n-water", "/alerts/a-water", "/none")
        answers = [await console.get(path) for path in paths]
        return [response.status for response, _ in answers], "".join(html for _, html in answers)

    statuses, html = visit(scenario, story, console_token=Secret("s3cret"))
    assert statuses == [401, 401, 401, 401]
    assert "Token" in html
    assert "brunnby" not in html


def test_logging_in_opens_the_pages_with_a_strict_cookie_and_logging_out_closes_them(story):
    async def scenario(console):
        _, html = await console.get("/login")
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', html)[1]
        wrong, _ = await console.post("/login", {"token": "wrong"}, csrf=csrf)
        right, _ = await console.post("/login", {"token": "s3cret"}, csrf=csrf)
        inside, _ = await console.get("/")
        await console.post("/logout", {}, csrf=csrf)
        outside, _ = await console.get("/")
        return wrong.status, right, inside.status, outside.status

    wrong, right, inside, outside = visit(scenario, story, console_token=Secret("s3cret"))
    assert (wrong, right.status, inside, outside) == (401, 303, 200, 401)
    cookie = right.cookies[server.SESSION_COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert "s3cret" not in cookie.value


def test_a_bearer_token_reads_and_sends_without_a_form_token(story):
    async def scenario(console):
        bearer = {"Authorization": "Bearer s3cret"}
        page, _ = await console.get("/", **bearer)
        sent, _ = await console.post("/alerts/a-water/feedback", ANSWER, csrf=None, **bearer)
        wrong, _ = await console.get("/", Authorization="Bearer wrong")
        return page.status, sent.status, wrong.status, len(console.outbox.sent)

    assert visit(scenario, story, console_token=Secret("s3cret")) == (200, 303, 401, 1)


@pytest.mark.parametrize("session", ["", "9999999999.", "9999999999.00", "x.y", "²." + "0" * 64, "1." + "ÿ" * 3])
def test_a_session_that_we_did_not_sign_is_none(story, session):
    async def scenario(console):
        return (await console.get("/", Cookie=f"{server.SESSION_COOKIE}={session}"))[0].status

    assert visit(scenario, story, console_token=Secret("s3cret")) == 401


def test_a_session_ends_by_itself():
    now_s = [0.0]
    guard = server.Guard(Secret("s3cret"), frozenset(), wall_s=lambda: now_s[0])

    cookie = f"{server.SESSION_COOKIE}={guard.new_session()}"
    request = make_mocked_request("GET", "/", headers={"Cookie": cookie})
    assert guard.is_admitted(request)
    now_s[0] = server.SESSION_S + 1
    assert not guard.is_admitted(request)


def test_health_answers_without_a_token_and_shows_nothing(story):
    async def scenario(console):
        well = await console.get("/healthz")
        console.board.lost("gone")
        ill = await console.get("/healthz")
        return well[0].status, well[1], ill[0].status, ill[1]

    assert visit(scenario, story, console_token=Secret("s3cret")) == (200, "board: live\n", 503, "board: lost\n")


def test_who_sees_texts_is_written_down_once_and_nobody_is_asked_twice_in_a_while(story):
    async def scenario(console):
        await console.get("/")
        for _ in range(3):
            await console.get("/narratives/n-water")
        await console.get("/narratives/n-joke")
        return console.auditor.words()

    assert visit(scenario, story) == [("view", "unknown", "n-water", ""), ("view", "unknown", "n-joke", "")]


def test_without_the_audit_log_no_text_is_shown_but_the_board_is(story):
    async def scenario(console):
        response, html = await console.get("/narratives/n-water")
        board, _ = await console.get("/")
        return response.status, html, board.status

    status, html, board = visit(scenario, story, auditor=Auditor(fault="the audit log cannot be written"))
    assert (status, board) == (503, 200)
    assert "audit log cannot be written" in html
    assert not any(one.text in html for one in story.narrative().exemplars)


def test_a_word_is_on_the_audit_log_before_it_is_sent_and_is_not_sent_without(story):
    async def scenario(console):
        _, html = await console.get("/narratives/n-water")
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', html)[1]
        response, _ = await console.post("/alerts/a-water/feedback", ANSWER, csrf=csrf)
        console.auditor.fault = "no"
        refused, _ = await console.post("/alerts/a-water/feedback", ANSWER, csrf=csrf)
        return response.status, refused.status, console.auditor.words(), len(console.outbox.sent)

    status, refused, words, sent = visit(scenario, story)
    assert (status, refused, sent) == (303, 503, 1)
    assert words[-1] == ("feedback", "Ann Ö", "a-water", "acknowledge")


def test_what_is_uncovered_is_written_down_and_named_by_who_the_proxy_says(story):
    async def scenario(console):
        answer, _ = await console.post(
            "/reveal", {"about": "n-named", "what": "label"}, **{"X-User": "ann@example.org"}
        )
        foreign, _ = await console.post("/reveal", {"about": "n-named", "what": "label"}, csrf=None)
        console.auditor.fault = "no"
        refused, _ = await console.post("/reveal", {"about": "n-named", "what": "label"}, csrf=console.csrf)
        return answer.status, foreign.status, refused.status, console.auditor.entries

    answer, foreign, refused, entries = visit(scenario, story, console_user_header="X-User")
    assert (answer, foreign, refused) == (204, 403, 503)
    [entry] = [entry for entry in entries if entry.what == "reveal"]
    assert (entry.by, entry.about, entry.detail) == ("ann@example.org", "n-named", "label")
    assert entry.client == "127.0.0.1 ann@example.org"


def test_a_header_that_nobody_trusts_names_nobody(story):
    async def scenario(console):
        await console.get("/narratives/n-water", **{"X-User": "boss"})
        return console.auditor.words()

    assert visit(scenario, story) == [("view", "unknown", "n-water", "")]


def test_logins_and_refused_ones_are_on_the_audit_log_and_too_many_are_turned_away(story, monkeypatch):
    monkeypatch.setattr(server, "WRONG_TOKEN_WAIT_S", 0.0)

    async def scenario(console):
        _, html = await console.get("/login")
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', html)[1]
        answers = [await console.post("/login", {"token": "wrong"}, csrf=csrf) for _ in range(12)]
        return [response.status for response, _ in answers], console.auditor.words()

    statuses, words = visit(scenario, story, console_token=Secret("right"))
    assert statuses[:10] == [401] * 10
    assert statuses[10:] == [429] * 2
    assert words == [("login_refused", "unknown", "console", "")] * 10


def test_a_client_that_asks_without_pause_is_turned_away(story):
    async def scenario(console):
        asked = [console.get("/static/mark.svg") for _ in range(400)]
        statuses = [response.status for response, _ in await asyncio.gather(*asked)]
        healthy, _ = await console.get("/healthz")
        return statuses, healthy.status

    statuses, healthy = visit(scenario, story)
    assert set(statuses) == {200, 429}
    assert healthy == 200


def test_a_form_that_is_too_long_is_refused(story):
    async def scenario(console):
        response, _ = await console.post("/alerts/a-water/feedback", {**ANSWER, "note": "x" * 70_000})
        return response.status

    assert visit(scenario, story) == 413
