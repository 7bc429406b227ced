import itertools
from pathlib import Path

import pytest

from streams import acls
from streams.acls import ROLES, grants
from streams.settings import Settings
from streams.topics import TOPICS

LINES = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.txt"


def test_the_lines_on_file_golden_are_those_of_the_table(golden, capsys):
    acls.run_print(Settings())
    golden(LINES, capsys.readouterr().out)


def test_no_rule_comes_twice():
    assert len(set(grants())) == len(grants())


def test_only_the_operator_makes_topics_or_changes_their_settings():
    beyond = {grant.role for grant in grants() if grant.operation in {"CREATE", "ALTER_CONFIGS"}}
    assert beyond == {"operator"}


def test_texts_are_read_only_by_those_who_need_them():
    texts = {topic.name for topic in TOPICS if topic.holds_text}
    readers = {grant.role for grant in grants() if grant.operation == "READ" and grant.name in texts}
    assert readers == {"score", "monitor", "console", "researcher", "operator"}


@pytest.mark.parametrize("role", ["trust", "publisher", "researcher", "console"])
def test_who_is_no_worker_writes_nothing_that_decides_an_alert_by_itself(role):
    written = {grant.name for grant in grants() if grant.role == role and grant.operation == "WRITE"}
    assert not written & {"journal", "snapshots", "alerts", "alert-history", "narratives", "configuration"}


def test_every_topic_is_written_and_read_by_somebody():
    for topic, operation in itertools.product(TOPICS, ("READ", "WRITE")):
        assert any(grant.name == topic.name and grant.operation == operation for grant in grants()), topic.name


def test_the_prefix_is_before_our_own_names_alone():
    lines = acls.lines(Settings(topic_prefix="town."))
    assert any(" --topic town.posts" in line for line in lines)
    assert any(" --group town.emberwatch-score" in line for line in lines)
    assert any(" --group trust- --resource-pattern-type prefixed" in line for line in lines)
    assert {line.split("User:")[1].split()[0] for line in lines} == {acls.user_of(role) for role in ROLES}
