import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from detectors.codec import encode_record
from detectors.records import Alert, Counts, DataHealth, Growth, Handling, Reason, Review, Spread, Stance
from streams import kafka_clients, subscriber, topics

NOW = datetime(2024, 5, 3, 12, 0, tzinfo=UTC)


def alert(alert_id, severity, *, revision=1, transition="opened", minutes=0):
    return Alert(
        alert_id=alert_id,
        revision=revision,
        epoch=1,
        transition=transition,
        narrative_id="n-" + alert_id,
        event_id="e1",
        severity=severity,
        kinds=("viral",),
        reasons=(Reason(signal="burst_z", measured=9.0, words=f"12 posts [bold]in[/bold] ten minutes, by {alert_id}"),),
        counts=Counts(
            posts=40, authors=30, reshares=1, replies=2, late=0, window_s=600, window_posts=12, window_authors=9
        ),
        growth=Growth(state="bursting", velocity_per_s=0.1, expected=1.0, basis="narratives_of_this_age", burst_z=9.0),
        forecast=None,
        stance=Stance(comment=1.0),
        matched_claims=(),
        verdict="unreviewed",
        coordination=None,
        spread=Spread(platforms={}, languages={}, communities={}),
        exemplars=(),
        label=f"label of {alert_id}",
        merged_into=None,
        data_health=DataHealth(watermark_at=NOW, behind_s=0.0, late_ratio=0.0, silent_partitions=0),
        model="hash-64",
        config_hash="0",
        first_seen=NOW,
        detected_at=NOW,
        changed_at=NOW + timedelta(minutes=minutes),
        review=Review(),
        handling=Handling(contains_named_person=False, retain_until=NOW),
    )


def send(settings, name, *records):
    producer = kafka_clients.producer(settings)
    for key, value in records:
        producer.send(topics.topic_name(settings, name), key=key.encode(), value=value)
    producer.flush()
    producer.close()


@pytest.fixture
def filled(each_broker):
    """Four alerts, one of them revised, one retracted for good, and a record that is none."""
    topics.create(each_broker)
    given = [
        alert("a", "watch"),
        alert("b", "page"),
        alert("c", "notice", transition="cleared"),
        alert("a", "watch", revision=2, transition="updated", minutes=5),
    ]
    records = [(one.alert_id, encode_record(one)) for one in given]
    send(each_broker, "alerts", *records, ("d", b"not an alert"), ("e", encode_record(alert("e", "page"))), ("e", None))
    return each_broker


def test_the_last_revision_of_each_alert_is_shown_open_and_severe_first(filled):
    shown = [(one.alert_id, one.revision) for one in subscriber.present_alerts(filled)]
    assert shown == [("b", 1), ("a", 2), ("c", 1)]


def test_as_json_it_is_one_alert_a_line(filled, capsys):
    subscriber.run(filled, follow=False, as_json=True, severity="notice")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["alert_id"] for line in lines] == ["b", "c"]
    assert msgspec.json.decode(lines[0], type=Alert) == alert("b", "page")


def test_a_table_tells_severity_label_and_why_as_they_are_written(filled, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    subscriber.run(filled, follow=False, as_json=False, severity=None)
    out = capsys.readouterr().out
    for words in ("page", "label of b", "[bold]in[/bold]", "3 alerts, 2 open"):
        assert words in out


@pytest.mark.broker
def test_what_is_published_between_the_table_and_the_following_is_not_missed(broker):
    topics.create(broker)
    old = alert("a", "watch")
    send(broker, "alert-history", ("a", encode_record(old)))
    further = subscriber.follow_history(broker)
    new = alert("a", "page", revision=2)
    send(broker, "alert-history", ("a", encode_record(new)))
    assert next(further) == new
    further.close()
