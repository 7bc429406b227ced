import json
import logging

from hypothesis import given
from hypothesis import strategies as st

from streams.log import JsonLines, ReadableLines, values


def record(event, **given_values):
    made = logging.makeLogRecord({"name": "streams.score", "levelname": "INFO", "msg": event, "created": 0.0})
    made.__dict__.update(values(**given_values))
    return made


def test_a_readable_line_carries_time_severity_part_event_and_values():
    line = ReadableLines().format(record("batch scored", posts=64, seconds=0.25))
    assert line == "1970-01-01T00:00:00.000Z INFO score: batch scored posts=64 seconds=0.25"


def test_a_json_line_carries_the_same():
    line = json.loads(JsonLines().format(record("batch scored", posts=64)))
    assert line == {
        "at": "1970-01-01T00:00:00.000Z",
        "severity": "INFO",
        "part": "score",
        "event": "batch scored",
        "posts": 64,
    }


@given(st.text())
def test_no_value_can_forge_a_second_line(value):
    assert len(ReadableLines().format(record("read", topic=value)).splitlines()) == 1
    assert len(JsonLines().format(record("read", topic=value)).split("\n")) == 1
