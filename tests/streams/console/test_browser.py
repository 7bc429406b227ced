"""The console in a real browser, fed by a real broker."""

import asyncio
import shutil
import threading
import time

import msgspec
import pytest

from detectors.codec import decode_record, encode_record
from detectors.entries import Tick
from detectors.records import Feedback, Review
from streams import audit, kafka_clients, topics
from streams.console import server
from streams.console.board import Board
from streams.console.follower import Follower
from streams.topics import topic_name

pytestmark = [pytest.mark.browser, pytest.mark.broker]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def until(condition, what, within_s=20.0):
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s} s: {what}")


class Site:
    """A console following a broker, in a thread of its own, and the topics behind it."""

    def __init__(self, settings):
        self.settings = settings
        self.board = Board()
        self.producer = kafka_clients.producer(settings)
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.follower = Follower(self.settings, self.board)
        self.follower.start()
        self._thread.start()
        assert self._ready.wait(10)
        until(lambda: self.board.pulse().state in {"live", "empty", "stalled"}, "the topics are read")
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self.follower.stop()
        self.producer.close(timeout=5)

    def _serve(self):
        asyncio.set_event_loop(self._loop)
        outbox = server.KafkaOutbox(self.settings)
        runner = self._loop.run_until_complete(
            server.start(self.settings, self.board, outbox, server.KafkaAuditor(self.settings))
        )
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())

    def publish(self, topic, key, value):
        partition = 0 if topic == "journal" else None
        name = topic_name(self.settings, topic)
        sending = self.producer.send(name, key=key and key.encode(), value=value, partition=partition)
        sending.get(timeout=10)

    def publish_story(self, story):
        alerts, narratives, revisions, changes = story.records()
        for alert in alerts:
            self.publish("alerts", alert.alert_id, encode_record(alert))
        for narrative in narratives:
            self.publish("narratives", narrative.narrative_id, encode_record(narrative))
        for revision in revisions:
            self.publish("alert-history", revision.alert_id, encode_record(revision))
        for change in changes:
            self.publish("narrative-history", change.narrative_id, encode_record(change))
        self.tick(story)

    def tick(self, story):
        self.publish("journal", None, msgspec.json.encode(Tick(now_at_s=story.now.timestamp())))

    def feedback(self):
        records = kafka_clients.read_to_end(self.settings, [topic_name(self.settings, "feedback")])
        return [decode_record(Feedback, record.value) for record in records]


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """The browser as if just started: cookies do not tell ports apart, and an old page still polls."""
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    chromium.get_log("browser")
    yield chromium
    chromium.get("about:blank")


@pytest.fixture
def site(broker):
    topics.create(broker)
    with Site(broker) as site:
        yield site


@pytest.fixture
def told(site, story):
    site.publish_story(story)
    until(lambda: len(site.board.changes("n-water")) == 2, "the story is on the board")
    until(lambda: site.board.pulse().state == "live", "the journal is seen to grow")
    return site


def find(browser, selector):
    return until(lambda: browser.find_elements("css selector", selector), selector)[0]


def text_of(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)


def errors(browser):
    return [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]


def test_the_board_fills_by_itself_and_keeps_the_focus_while_it_does(site, story, browser):
    browser.get(site.url)
    assert text_of(browser, "#health strong") == "No input yet"
    browser.get_log("browser")
    site.publish_story(story)
    until(lambda: "water poisoned plant" in text_of(browser, "#open"), "alerts appear without a reload")
    until(lambda: text_of(browser, "#health strong") == "Live", "the strip says live")
    browser.execute_script("document.getElementById('link-a-joke').focus()")
    site.publish("alerts", "a-new", encode_record(story.alert("a-new", label="one more")))
    until(lambda: "one more" in text_of(browser, "#open"), "a further alert appears")
    assert browser.execute_script("return document.activeElement.id") == "link-a-joke"
    assert errors(browser) == []


def test_exemplars_are_blurred_until_their_button_is_pressed(told, browser):
    browser.get(f"{told.url}/alerts/a-water")
    text = find(browser, "#exemplar-1")
    assert "blur" in text.value_of_css_property("filter")
    assert text.get_attribute("inert") is not None
    assert text.get_attribute("aria-hidden") == "true"
    button = find(browser, "#exemplar-1-button")
    button.send_keys("\n")  # the keyboard suffices
    until(lambda: text.value_of_css_property("filter") == "none", "the text is clear")
    assert button.get_attribute("aria-expanded") == "true"
    assert "blur" in find(browser, "#exemplar-2").value_of_css_property("filter")
    button.click()
    until(lambda: "blur" in text.value_of_css_property("filter"), "the text is blurred again")


def test_what_was_revealed_stays_so_through_a_refresh_but_never_for_another_text(told, story, browser):
    browser.get(f"{told.url}/narratives/n-water")
    find(browser, "#exemplar-1-button").click()
    until(lambda: find(browser, "#exemplar-1").value_of_css_property("filter") == "none", "the text is clear")
    grown = story.narrative(event_id="e-water", exemplars=(*story.narrative().exemplars[:2],))
    told.publish("narratives", "n-water", encode_record(grown))
    until(lambda: not browser.find_elements("css selector", "#exemplar-3"), "the page is fresh")
    assert find(browser, "#exemplar-1").value_of_css_property("filter") == "none"
    other = story.narrative(event_id="e-water", exemplars=(story.exemplar("p9", "earliest", "quite another text"),))
    told.publish("narratives", "n-water", encode_record(other))
    until(lambda: not browser.find_elements("css selector", "#exemplar-2"), "the page is fresh again")
    assert "blur" in find(browser, "#exemplar-1").value_of_css_property("filter")


def test_hostile_text_runs_nothing_reorders_nothing_and_breaks_no_layout(told, story, browser):
    hostile = story.hostile
    assert len(hostile) > 9_500
    alert = story.alert(
        "a-bad", label=hostile[:300], review=Review(state="acknowledged", by=hostile[:90], note=hostile)
    )
    claim = msgspec.structs.replace(story.claim, claim=hostile, rating=hostile[:80], url="javascript:window.owned=5")
    narrative = story.narrative(
        "n-bad",
        label=hostile[:300],
        why_now=hostile[:500],
        matched_claims=(claim,),
        exemplars=(story.exemplar("p", "indicator", hostile, indicators=(hostile[:60],)),),
    )
    told.publish("narratives", "n-bad", encode_record(narrative))
    told.publish("alerts", "a-bad", encode_record(alert))
    until(lambda: told.board.alert("a-bad"), "the alert is on the board")
    for path in ("/", "/alerts/a-bad"):
        for width in (1280, 400):
            browser.set_window_size(width, 1000)
            size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(told.url + path)
            for button in browser.find_elements("css selector", "button.reveal"):
                button.click()
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            assert browser.execute_script("return window.owned ?? null") is None
            assert "<script>window.owned = 1</script>" in browser.find_element("tag name", "body").text
            assert "\u202e" not in browser.execute_script("return document.documentElement.textContent")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert browser.find_elements("css selector", "a[href^='javascript']") == []
    assert errors(browser) == []


def test_the_name_of_a_person_is_not_to_be_seen_before_it_is_asked_for(told, browser):
    for path, button in (("/", "#label-a-named-button"), ("/alerts/a-named", "#label-button")):
        browser.get(told.url + path)
        find(browser, button)
        assert "Jane Roe" not in browser.find_element("tag name", "body").text
        assert "Jane Roe" not in browser.title
        find(browser, button).click()
        until(lambda: "Jane Roe" in browser.find_element("tag name", "body").text, "the name is shown")


def test_a_withheld_name_is_shown_only_on_demand_and_the_demand_is_on_the_audit_log(told, browser):
    browser.get(f"{told.url}/narratives/n-suspect")
    find(browser, "#names-button")
    assert "Falk" not in text_of(browser, "main")
    find(browser, "#names-button").click()
    until(lambda: "Egon Falk" in text_of(browser, "#names"), "the name is shown")
    entries = [one for one in audit.read(told.settings) if one.what == "reveal"]
    assert [(one.about, one.detail) for one in entries] == [("n-suspect", "names")]


def test_acknowledging_sends_feedback_onto_the_topic_and_shows_its_way_there_and_back(told, story, browser):
    browser.get(f"{told.url}/alerts/a-water")
    find(browser, "#by").send_keys("Ann")
    find(browser, "#note").send_keys("calling the council")
    find(browser, "button[value=acknowledge]").click()
    until(lambda: "sent, waiting for the journal" in text_of(browser, "#review"), "the page waits")
    (feedback,) = told.feedback()
    assert (feedback.word, feedback.by, feedback.note) == ("acknowledge", "Ann", "calling the council")
    assert (feedback.alert_id, feedback.narrative_id) == ("a-water", "n-water")
    assert find(browser, "#by").get_attribute("value") == "Ann"

    review = Review(state="acknowledged", by=feedback.by, at=feedback.at, note=feedback.note)
    answered = story.alert(event_id="e-water", revision=4, transition="updated", review=review)
    told.publish("alerts", "a-water", encode_record(answered))
    until(lambda: "acknowledged by Ann" in text_of(browser, "#review"), "the word came back")
    assert "waiting" not in text_of(browser, "#review")
    assert errors(browser) == []


def test_dismissing_leads_to_a_retracted_alert_on_the_closed_list(told, story, browser):
    browser.get(f"{told.url}/alerts/a-joke")
    find(browser, "#by").send_keys("Ann")
    find(browser, "button[value=dismiss]").click()
    until(lambda: "waiting for the journal" in text_of(browser, "#review"), "the page waits")
    (feedback,) = told.feedback()
    assert feedback.word == "dismiss"
    review = Review(state="dismissed", by="Ann", at=feedback.at)
    retracted = story.alert("a-joke", revision=4, transition="retracted", review=review, changed_at=story.now)
    told.publish("alerts", "a-joke", encode_record(retracted))
    until(lambda: told.board.alert("a-joke").transition == "retracted", "the retraction is read")
    browser.get(told.url)
    assert browser.find_elements("css selector", "#card-a-joke") == []
    assert "dismissed by Ann" in text_of(browser, "#closed")


def test_what_is_being_typed_survives_a_refresh(told, story, browser):
    browser.get(f"{told.url}/alerts/a-water")
    note = find(browser, "#note")
    note.send_keys("half a sen")
    told.publish("narratives", "n-water", encode_record(story.narrative(event_id="e-water", why_now="other words now")))
    until(lambda: "other words now" in text_of(browser, "#what"), "the page is fresh")
    note.send_keys("tence")
    assert note.get_attribute("value") == "half a sentence"


def test_a_page_says_when_the_console_no_longer_answers(told, browser):
    browser.get(told.url)
    assert not find(browser, "#unreachable").is_displayed()
    browser.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        until(lambda: "What you see is old" in text_of(browser, "#unreachable"), "the banner shows")
    finally:
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline | {"offline": False})
    until(lambda: not find(browser, "#unreachable").is_displayed(), "the banner goes")
    browser.get_log("browser")


def test_what_is_uncovered_is_on_the_audit_log_first(told, browser):
    browser.get(f"{told.url}/narratives/n-named?alert=a-named")
    find(browser, "#label-button").click()
    until(lambda: find(browser, "#label").is_displayed(), "the label is shown")
    entries = [(entry.what, entry.about, entry.detail) for entry in audit.read(told.settings)]
    assert entries == [("view", "n-named", ""), ("reveal", "n-named", "label")]
