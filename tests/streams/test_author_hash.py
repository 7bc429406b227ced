from datetime import UTC, datetime

import pytest

from streams.author_hash import former_salts, hash_author, is_spent, living_salts
from streams.errors import SettingsError
from streams.settings import Secret, Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def settings(before):
    return Settings(hash_salt=Secret("now"), hash_salts_before=Secret(before))


def test_a_former_salt_lives_until_nothing_hashed_under_it_is_left():
    given = settings("2026-02-10:lately 2026-01-02:long-ago")
    assert living_salts(given, NOW) == [Secret("now"), Secret("lately")]
    assert [is_spent(former, NOW) for former in former_salts(given)] == [False, True]


def test_hashes_differ_by_platform_author_and_salt_and_name_nobody():
    hashes = {hash_author(p, a, Secret(s)) for p in ("x", "y") for a in ("ada", "bob") for s in ("k", "l")}
    assert len(hashes) == 8
    assert not any("ada" in one for one in hashes)


def test_platform_and_author_do_not_run_together():
    assert hash_author("xa", "da", Secret("k")) != hash_author("x", "ada", Secret("k"))


@pytest.mark.parametrize("before", ["old-secret", "2026-13-01:old-secret", "2026-01-01:", "2026-01-01 old-secret"])
def test_what_is_no_day_and_salt_is_refused_without_being_shown(before):
    with pytest.raises(SettingsError, match="HASH_SALTS_BEFORE") as refused:
        former_salts(settings(before))
    assert "old-secret" not in str(refused.value)
