"""Whether two runs gave the same alerts in substance.

Two runs over one stream differ in the last bits of their vectors and in how partitions interleave, so ids may
differ where the story is the same. Alerts are paired by kinds and by the posts of their narratives; what finds no
partner, or opened at another time, is a difference.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from detectors.records import Alert, Assignment

LEAST_JACCARD = 0.8
"""Share of the posts of both narratives that they must have in common."""


class AlertWithMembers(Struct, frozen=True):
    """The last revision of an alert, and the posts of its narrative at the end."""

    alert: Alert
    members: frozenset[str]


class Difference(Struct, frozen=True, kw_only=True):
    """An alert of one run that the other does not have so."""

    run: str
    """`first` or `second`."""
    alert_id: str
    label: str
    kinds: tuple[str, ...]
    why: str


def with_members(alerts: Iterable[Alert], assignments: Iterable[Assignment]) -> list[AlertWithMembers]:
    """Join alerts with the posts of their narratives; merged ones stand for nothing of their own and are left out.

    A narrative whose last posts went elsewhere is known by the posts that its alert shows.
    """
    members: dict[str, set[str]] = {}
    for assignment in assignments:
        if assignment.narrative_at_end is not None:
            members.setdefault(assignment.narrative_at_end, set()).add(assignment.post_id)
    return [
        AlertWithMembers(alert, frozenset(members.get(alert.narrative_id) or [one.post_id for one in alert.exemplars]))
        for alert in alerts
        if alert.transition != "merged"
    ]


def differences(
    first: Sequence[AlertWithMembers], second: Sequence[AlertWithMembers], *, allowed_lateness_s: float
) -> list[Difference]:
    """Differences in substance between two runs; empty where they agree."""
    partners = _pairs(first, second)
    found = [
        _difference("first", first[i], "no partner in the second run") for i in range(len(first)) if i not in partners
    ]
    taken = set(partners.values())
    found += [
        _difference("second", second[j], "no partner in the first run") for j in range(len(second)) if j not in taken
    ]
    for i, j in partners.items():
        apart_s = abs((first[i].alert.detected_at - second[j].alert.detected_at).total_seconds())
        if apart_s > allowed_lateness_s:
            found.append(_difference("first", first[i], f"opened {apart_s:.0f} s apart from its partner"))
    return found


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of what is in either that is in both; 0 for two empty sets.

    >>> jaccard(frozenset("abc"), frozenset("bcd"))
    0.5
    """
    return len(one & other) / len(one | other) if one or other else 0.0


def _pairs(first: Sequence[AlertWithMembers], second: Sequence[AlertWithMembers]) -> Mapping[int, int]:
    """Partners, most alike first."""
    alike = [
        (jaccard(one.members, other.members), i, j)
        for i, one in enumerate(first)
        for j, other in enumerate(second)
        if one.alert.kinds == other.alert.kinds
    ]
    partners: dict[int, int] = {}
    for similarity, i, j in sorted(alike, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if similarity >= LEAST_JACCARD and i not in partners and j not in partners.values():
            partners[i] = j
    return partners


def _difference(run: str, one: AlertWithMembers, why: str) -> Difference:
    return Difference(run=run, alert_id=one.alert.alert_id, label=one.alert.label, kinds=one.alert.kinds, why=why)
