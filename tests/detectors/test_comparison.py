from datetime import timedelta

import msgspec
import pytest

from detectors.comparison import AlertWithMembers, differences, with_members
from detectors.records import Alert, Assignment

ALERT = {
    "alert_id": "a-1",
    "revision": 1,
    "epoch": 1,
    "transition": "opened",
    "narrative_id": "n-1",
    "event_id": "e-1",
    "severity": "watch",
    "kinds": ["viral"],
    "reasons": [],
    "counts": dict.fromkeys(
        ("posts", "authors", "reshares", "replies", "late", "window_s", "window_posts", "window_authors"), 1
    ),
    "growth": {
        "state": "bursting",
        "velocity_per_s": 1.0,
        "expected": 1.0,
        "basis": "own_history",
        "burst_z": 5.0,
    },
    "forecast": None,
    "stance": {},
    "matched_claims": [],
    "verdict": "unverified",
    "coordination": None,
    "spread": {"platforms": {}, "languages": {}, "communities": {}},
    "exemplars": [],
    "label": "a label",
    "merged_into": None,
    "data_health": {"watermark_at": "2026-06-05T12:00:00Z", "behind_s": 1.0, "late_ratio": 0.0, "silent_partitions": 0},
    "model": "hash-64",
    "config_hash": "0",
    "first_seen": "2026-06-05T12:00:00Z",
    "detected_at": "2026-06-05T12:10:00Z",
    "changed_at": "2026-06-05T12:10:00Z",
    "review": {},
    "handling": {"contains_named_person": False, "retain_until": "2026-09-05T12:00:00Z"},
}


def alert(members, **changes):
    changed = msgspec.structs.replace(msgspec.convert(ALERT, Alert), **changes)
    return AlertWithMembers(changed, frozenset(members))


def differ(first, second):
    return [(one.run, one.alert_id) for one in differences(first, second, allowed_lateness_s=120.0)]


def test_a_run_agrees_with_itself():
    run = [alert("abcdefghij"), alert("klm", alert_id="a-2")]
    assert differ(run, run) == []


def test_other_ids_and_a_few_other_posts_are_the_same_alert_in_substance():
    assert differ([alert("abcdefghij")], [alert("abcdefghi", alert_id="a-9", narrative_id="n-9")]) == []


def test_too_few_posts_in_common_are_two_differences():
    assert differ([alert("abcd")], [alert("abxy", alert_id="a-9")]) == [("first", "a-1"), ("second", "a-9")]


def test_another_kind_is_another_alert():
    assert differ([alert("abcd")], [alert("abcd", kinds=("incitement", "viral"))]) == [
        ("first", "a-1"),
        ("second", "a-1"),
    ]


@pytest.mark.parametrize(("apart_s", "expected"), [(120, []), (121, [("first", "a-1")])])
def test_partners_may_open_as_far_apart_as_posts_may_be_late(apart_s, expected):
    later = msgspec.convert(ALERT, Alert).detected_at + timedelta(seconds=apart_s)
    assert differ([alert("abcd")], [alert("abcd", detected_at=later)]) == expected


def test_one_alert_partners_only_one_other():
    assert differ([alert("abcd")], [alert("abcd", alert_id="a-8"), alert("abcd", alert_id="a-9")]) == [
        ("second", "a-9")
    ]


def test_members_are_the_posts_of_the_narrative_at_the_end_and_merged_alerts_are_left_out():
    def put(post_id, narrative_id):
        return Assignment(
            post_id=post_id,
            micro_cluster="m",
            narrative_then="n-0",
            narrative_at_end=narrative_id,
            event_then=None,
            event_at_end=None,
        )

    alerts = [alert("").alert, alert("", alert_id="a-2", transition="merged").alert]
    found = with_members(alerts, [put("a", "n-1"), put("b", "n-2"), put("c", "n-1"), put("d", None)])
    assert [(one.alert.alert_id, one.members) for one in found] == [("a-1", frozenset("ac"))]
