"""Author ids as keyed hashes: who wrote is never stored, yet the same author is recognised while the key lives."""

import hashlib
import hmac

from streams.errors import SettingsError
from streams.settings import Secret, Settings, variable_of


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
