"""Somebody raises a thousand alarms so that the one that matters is not heard: it must be heard all the same."""

import random

import pytest

from detectors.records import Alert

FAKES = 1000
PAGES_PER_HOUR = 6


def words(chance):
    """Words of one story, like those of no other."""
    return " ".join("".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(9)) for _ in range(8))


@pytest.fixture(scope="module")
def flooded():
    """Everything that is published of a thousand fake calls to violence, and of a real one in their midst."""
    from tests.detectors.conftest import Streams  # the fixture itself is made anew for each test

    streams, chance = Streams(), random.Random(3)
    configured = streams.configured(
        source_partitions=1,
        life_cycle={"pages_per_hour": PAGES_PER_HOUR},
        narratives={"micro_similarity": 0.8, "settling_s": 100_000.0},
    )
    rows = []
    for number in range(FAKES):
        said, start_s = words(chance), streams.start_s + chance.random() * 1500
        rows += [(start_s + i, f"f{number}-{i}", said, f"bot {chance.randrange(9000)}") for i in range(14)]
    real = words(chance)
    rows += [(streams.start_s + 900 + 2 * i, f"real-{i}", real, f"person {i}") for i in range(60)]
    posts = [
        streams.post(post_id, at_s, said, author=author, offset=offset, incitement=0.9, calls=True)
        for offset, (at_s, post_id, said, author) in enumerate(sorted(rows))
    ]
    outputs, state = streams.fold([configured, *posts])
    return [output for output in outputs if isinstance(output, Alert)], state


def is_real(alert):
    return any(exemplar.post_id.startswith("real-") for exemplar in alert.exemplars)


pytestmark = pytest.mark.slow


def test_the_real_one_pages_in_the_midst_of_a_thousand_fakes(flooded):
    alerts, _ = flooded
    paged = next(alert for alert in alerts if is_real(alert) and alert.severity == "page")
    assert paged.counts.posts <= 40


def test_the_flood_pages_hardly_more_than_the_budget(flooded):
    alerts, _ = flooded
    paged = {alert.alert_id for alert in alerts if alert.severity == "page"}
    assert PAGES_PER_HOUR <= len(paged) <= 2 * PAGES_PER_HOUR


def test_what_a_thousand_do_at_once_soon_reads_as_usual(flooded):
    """Expected of a new narrative is what narratives of its age do: the flood raises that, for itself most of all."""
    alerts, _ = flooded
    opened = {alert.alert_id for alert in alerts if alert.transition == "opened"}
    assert PAGES_PER_HOUR < len(opened) < FAKES // 10


def test_what_was_not_paged_is_a_notice_that_says_why_and_is_counted(flooded):
    alerts, state = flooded
    opened = [alert for alert in alerts if alert.transition == "opened"]
    assert {alert.severity for alert in opened} == {"page", "notice"}
    held_back = [alert for alert in opened if alert.severity == "notice"]
    assert all("page_budget" in {reason.signal for reason in alert.reasons} for alert in held_back)
    assert state.left_out()["page_over_budget"] >= len(held_back)


def test_of_those_at_the_end_the_real_one_has_the_most_voices(flooded):
    alerts, _ = flooded
    last = {alert.alert_id: alert for alert in alerts}
    assert is_real(max(last.values(), key=lambda alert: alert.counts.authors))
