"""Structured logs: an event's name and its values, as a line to read or as JSON, on standard error.

    log = get_logger("score")
    log.info("batch scored", extra=values(posts=64, seconds=0.2))

What is logged are ids, counts, times and reasons: no text of a post, no author, no secret.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from streams.settings import Settings

_VALUES = "emberwatch_values"


def get_logger(part: str) -> logging.Logger:
    """Logger of one part of the system (`score`, `monitor`, `publish`)."""
    return logging.getLogger(f"streams.{part}")


def values(**given: Any) -> dict[str, Any]:
    """What an event carries, for the `extra=` of a logging call."""
    return {_VALUES: given}


def set_up(settings: Settings) -> None:
    """Send the logs of this process to standard error, in the form and from the severity that the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_json else ReadableLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # The client library reports each attempt to connect as an error; what comes of them, our own errors say.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    logging.getLogger("streams").setLevel(settings.log_level)


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `severity`, `part`, `event`, then the values."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = {
            "at": _at(record),
            "severity": record.levelname,
            "part": record.name.removeprefix("streams."),
            "event": record.getMessage(),
            **getattr(record, _VALUES, {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class ReadableLines(logging.Formatter):
    """`2026-01-31T12:00:00Z INFO score: batch scored posts=64 seconds=0.2`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        pairs = "".join(f" {key}={_word(value)}" for key, value in getattr(record, _VALUES, {}).items())
        part = record.name.removeprefix("streams.")
        line = f"{_at(record)} {record.levelname} {part}: {record.getMessage()}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _word(value: object) -> str:
    """A value as one word: quoted where it holds a space or a line end, so that a value cannot forge a line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if text.isprintable() and " " not in text and text else json.dumps(text)
