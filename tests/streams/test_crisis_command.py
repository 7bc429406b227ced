import json
from datetime import UTC, datetime, timedelta

import pytest

from detectors.codec import decode_record
from detectors.records import Crisis
from streams import audit, crisis_command, topics
from streams.errors import EmberwatchError
from streams.kafka_clients import read_to_end
from streams.topics import topic_name

pytestmark = pytest.mark.broker

DECLARED = {"crisis_id": "k", "why": "riots", "by": "ana", "scope": ["lang=en,cy"], "thresholds": "50%", "until": "2h"}


@pytest.fixture
def ready(broker):
    topics.create(broker)
    return broker


def crises(settings):
    return [decode_record(Crisis, record.value) for record in read_to_end(settings, [topic_name(settings, "crisis")])]


def test_declared_stood_down_and_reported(ready, capsys, tmp_path):
    crisis_command.declare(ready, **DECLARED)
    crisis_command.stand_down(ready, crisis_id="k", why="calm", by="ben")
    declared, ended = crises(ready)
    assert declared.scope == {"lang": "en,cy"}
    assert declared.threshold_ratio == 0.5
    assert timedelta(hours=1) < declared.expires_at - datetime.now(UTC) <= timedelta(hours=2)
    assert (ended.word, ended.by, ended.why) == ("stand_down", "ben", "calm")
    capsys.readouterr()
    crisis_command.run_report(ready, crisis_id="k", as_json=True, out=None)
    whole = json.loads(capsys.readouterr().out)
    assert (whole["declared_by"], whole["stood_down_by"], whole["alerts"]) == ("ana", "ben", [])
    crisis_command.run_report(ready, crisis_id="k", as_json=False, out=tmp_path / "report.md")
    assert "Stood down by ben" in (tmp_path / "report.md").read_text()


def test_every_decision_is_on_the_audit_log(ready):
    crisis_command.declare(ready, **DECLARED)
    crisis_command.stand_down(ready, crisis_id="k", why="calm", by="ben")
    entries = [(one.what, one.by, one.about, one.detail) for one in audit.read(ready)]
    assert entries == [("crisis", "ana", "k", "declare"), ("crisis", "ben", "k", "stand_down")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"thresholds": "5%"}, "25% to 100%"),
        ({"thresholds": "half"}, "per cent"),
        ({"until": "soon"}, "a span"),
        ({"until": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"scope": ["en"]}, "KIND=VALUES"),
        ({"scope": ["galaxy=milky way"]}, "none of lang"),
        ({"scope": ["lang="]}, "blank"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_write_instead(ready, change, words):
    with pytest.raises(EmberwatchError, match=words):
        crisis_command.declare(ready, **{**DECLARED, **change})
    assert not crises(ready)


def test_only_what_was_declared_can_be_ended_or_reported(ready):
    with pytest.raises(EmberwatchError, match="no such crisis"):
        crisis_command.stand_down(ready, crisis_id="k", why="calm", by="ben")
    with pytest.raises(EmberwatchError, match="no such crisis"):
        crisis_command.run_report(ready, crisis_id="k", as_json=False, out=None)
    crisis_command.declare(ready, **DECLARED)
    crisis_command.stand_down(ready, crisis_id="k", why="calm", by="ben")
    with pytest.raises(EmberwatchError, match="ben has stood it down"):
        crisis_command.stand_down(ready, crisis_id="k", why="calm", by="cleo")
