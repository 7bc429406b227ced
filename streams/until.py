"""Times as people give them on the command line."""

import re
from datetime import UTC, datetime, timedelta

from streams.errors import EmberwatchError

_SPAN = re.compile(r"(\d+)\s*([mhd])")
_UNIT = {"m": "minutes", "h": "hours", "d": "days"}


def end_of(until: str, now: datetime) -> datetime:
    """Read a span from now (`90m`, `24h`, `3d`) or a time (RFC 3339, UTC where it does not say).

    Raises `EmberwatchError` where it is neither.

    >>> end_of("90m", datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-01T01:30:00+00:00'
    """
    if span := _SPAN.fullmatch(until.strip()):
        return now + timedelta(**{_UNIT[span[2]]: int(span[1])})
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        raise EmberwatchError(f"until {until!r}: write a span (90m, 24h, 3d) or a time (RFC 3339)") from None
    return end if end.tzinfo else end.replace(tzinfo=UTC)
