"""Author ids as keyed hashes: who wrote is never stored, yet the same author is recognised while the key lives.

A key (salt) lives as long as what it protects. When it is replaced, the former one is kept, with the day of its
replacement, until nothing hashed under it is left anywhere (`topics.ERASURE_DEADLINE_S`): so long an erasure must
name the author under each of them. After that day it is destroyed, and what was hashed under it can be told of nobody.
"""

import hashlib
import hmac
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from streams.errors import SettingsError
from streams.settings import Secret, Settings, variable_of


class FormerSalt(Struct, frozen=True):
    """A key that was replaced."""

    replaced_on: date
    salt: Secret


def hash_author(platform: str, author: str, salt: Secret) -> str:
    """Hash of one author of one platform, 128 bits of HMAC-SHA-256.

    >>> ada = hash_author("x", "ada", Secret("k"))
    >>> ada == hash_author("x", "ada", Secret("k")), ada == hash_author("x", "ada", Secret("another key"))
    (True, False)
    """
    message = f"{platform}\0{author}".encode()
    return "h-" + hmac.digest(salt.reveal().encode(), message, hashlib.sha256)[:16].hex()


def salt_of(settings: Settings) -> Secret:
    """Key of the hashes; raises `SettingsError` where there is none."""
    if settings.hash_salt is None:
        raise SettingsError(
            f"{variable_of('hash_salt')}: needed to hash authors; any long secret text, kept for as long as the data"
        )
    return settings.hash_salt


def former_salts(settings: Settings) -> list[FormerSalt]:
    """Keys that were replaced, as the settings give them; raises `SettingsError` where they cannot be read.

    >>> [one.replaced_on.isoformat() for one in former_salts(Settings(hash_salts_before=Secret("2026-01-31:old")))]
    ['2026-01-31']
    """
    given = settings.hash_salts_before
    if given is None:
        return []
    former = []
    for part in given.reveal().split():
        day, colon, salt = part.partition(":")
        try:
            replaced_on = date.fromisoformat(day)
        except ValueError:
            replaced_on = None
        if replaced_on is None or not colon or not salt:
            raise SettingsError(
                f"{variable_of('hash_salts_before')}: expected YYYY-MM-DD:SALT, the day it was replaced, several with"
                " spaces"
            )
        former.append(FormerSalt(replaced_on, Secret(salt)))
    return former


def living_salts(settings: Settings, now: datetime | None = None) -> list[Secret]:
    """The key in use, and the former ones that still protect something."""
    return [salt_of(settings), *(one.salt for one in former_salts(settings) if not is_spent(one, now))]


def is_spent(former: FormerSalt, now: datetime | None = None) -> bool:
    """Whether nothing hashed under a former key can be left: it should be destroyed."""
    from streams.topics import ERASURE_DEADLINE_S

    today = (now or datetime.now(UTC)).date()
    return today > former.replaced_on + timedelta(seconds=ERASURE_DEADLINE_S)
