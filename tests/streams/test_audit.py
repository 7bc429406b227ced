from datetime import UTC, datetime

import msgspec
import pytest

from streams import audit, cli, configuration, feedback, journal_file, topics, why_command
from streams.errors import EmberwatchError
from streams.kafka_clients import producer
from streams.settings import Settings
from streams.topics import BY_NAME, topic_name

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def entry(**changes):
    return audit.Entry(**{"what": "view", "by": "Ann", "about": "n-1", "client": "127.0.0.1", "at": NOW, **changes})


def test_the_command_line_knows_every_kind_of_entry():
    assert audit.WORDS == cli.AUDITED


def test_the_log_is_append_only_kept_for_a_year_and_holds_no_texts():
    topic = BY_NAME["audit"]
    assert (topic.cleanup, topic.retention_s, topic.holds_text) == ("delete", 365 * 86_400, False)


def test_without_a_broker_nothing_is_taken_for_written(settings):
    nowhere = msgspec.structs.replace(settings, broker="127.0.0.1:1")
    with pytest.raises(EmberwatchError):
        audit.write(nowhere, entry())


@pytest.mark.broker
def test_without_its_topic_nothing_is_taken_for_written_either(broker):
    with pytest.raises(EmberwatchError, match="no topic"):
        audit.write(broker, entry())


def test_what_is_written_is_there_in_order(each_broker):
    topics.create(each_broker)
    with audit.Log(each_broker) as log:
        log.write(entry())
        log.write(entry(what="reveal", detail="label"))
    assert list(audit.read(each_broker)) == [entry(), entry(what="reveal", detail="label")]


@pytest.mark.broker
def test_the_command_prints_one_line_an_entry_that_no_name_can_forge(broker, capsys):
    topics.create(broker)
    audit.write(broker, entry(by="Ann\n2026-01-01T00:00:00Z view by Bob"))
    audit.write(broker, entry(what="reveal", by="Bob"))
    assert audit.run(broker, what=None, by=None, about=None, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert '"Ann\\n2026' in lines[0]
    audit.run(broker, what="reveal", by=None, about=None, as_json=True)
    [row] = capsys.readouterr().out.splitlines()
    assert msgspec.json.decode(row)["by"] == "Bob"
    sender = producer(broker)
    sender.send(topic_name(broker, "audit"), value=b"not an entry").get(timeout=10)
    sender.close()
    assert audit.run(broker, what="view", by=None, about=None, as_json=True) == 1


@pytest.mark.broker
def test_exports_evidence_words_and_configurations_are_written_down(broker, tmp_path, capsys):
    topics.create(broker)
    journal_file.export(broker, out=tmp_path / "journal.jsonl")
    with pytest.raises(EmberwatchError, match="no such alert"):
        why_command.run(broker, alert_id="a-1", out=None)
    feedback.run(broker, alert_id="a-1", word="dismiss", by="Ann", note="a secret note")
    configuration.apply(broker, file=None)
    entries = list(audit.read(broker))
    assert [(one.what, one.about, one.detail) for one in entries[:3]] == [
        ("export", "journal", "journal.jsonl"),
        ("why", "a-1", ""),
        ("feedback", "a-1", "dismiss"),
    ]
    assert entries[3].what == "configuration"
    assert "secret" not in str(entries)


@pytest.mark.broker
def test_what_cannot_be_written_down_is_not_done(broker, tmp_path):
    topics.create(broker)
    elsewhere = msgspec.structs.replace(broker, topic_prefix="nowhere.")
    file = tmp_path / "journal.jsonl"
    with pytest.raises(EmberwatchError, match="audit"):
        journal_file.export(elsewhere, out=file)
    assert not file.exists()


def test_an_entry_names_no_text_field():
    assert {field.name for field in msgspec.structs.fields(audit.Entry)} == {
        *("schema_version", "what", "by", "about", "detail", "client", "at"),
    }
    assert Settings().console_user_header is None
