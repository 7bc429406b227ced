"""Everything against an Apache Kafka that speaks TLS, asks for a password and refuses what no rule allows."""

import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from kafka import TopicPartition
from kafka.errors import TopicAuthorizationFailedError

from streams import acls, apache_kafka, journal_file, publish, topics
from streams.acls import ROLES, grants
from streams.errors import EmberwatchError
from streams.kafka_clients import admin_client, connection_options, consumer, producer
from streams.secure_kafka import secure_kafka
from streams.settings import Secret, load_settings
from streams.topics import TOPICS, topic_name

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SALT = "salt-that-nobody-may-see"
TOKEN = "token-that-nobody-may-see"


@pytest.fixture(scope="module")
def logins(tmp_path_factory):
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("secure")
    settings = load_settings(
        {
            "EMBERWATCH_MODEL": "hash",
            "EMBERWATCH_TOPIC_PREFIX": "walls.",
            "EMBERWATCH_HASH_SALT": SALT,
            "EMBERWATCH_METRICS_TOKEN": TOKEN,
            "EMBERWATCH_METRICS_PORT": "0",
            "EMBERWATCH_POSTS_PARTITIONS": "2",
            "EMBERWATCH_LOG_LEVEL": "DEBUG",
            "EMBERWATCH_DATA_DIR": str(folder / "worker"),
        }
    )
    with secure_kafka(settings, folder / "kafka") as given:
        yield given


def may(role, operation):
    return {grant.name for grant in grants() if grant.role == role and grant.operation == operation}


def may_write(sender, topic):
    try:
        sender.send(topic, key=b"probe", value=b"{}", partition=0).get(timeout=20.0)
    except TopicAuthorizationFailedError:
        return False
    return True


def may_read(settings, topic, *, within_s):
    """Whether the topic gives its record. Who may only write waits for ever: a client asks again after a refusal."""
    reader = consumer(settings)
    deadline_s = time.monotonic() + within_s
    try:
        partition = TopicPartition(topic, 0)
        reader.assign([partition])
        reader.seek(partition, 0)
        while time.monotonic() < deadline_s:
            if reader.poll(timeout_ms=250):
                return True
    except TopicAuthorizationFailedError:
        pass
    finally:
        reader.close()
    return False


@pytest.mark.timeout(600)
def test_each_role_writes_and_reads_what_it_needs_and_nothing_else(logins):
    written, names = {}, [topic.name for topic in TOPICS]
    for role in ROLES:
        sender = producer(logins.roles[role], enable_idempotence=False, max_block_ms=20_000)
        written[role] = {name for name in names if may_write(sender, topic_name(logins.roles[role], name))}
        sender.close(timeout=5.0)
    assert written == {role: may(role, "WRITE") & set(names) for role in ROLES}

    def readable(role):
        given = logins.roles[role]
        within_s = {name: 20.0 if name in may(role, "READ") else 2.0 for name in names}
        return {name for name in names if may_read(given, topic_name(given, name), within_s=within_s[name])}

    with ThreadPoolExecutor(len(ROLES)) as threads:
        read = dict(zip(ROLES, threads.map(readable, ROLES), strict=True))
    assert read == {role: may(role, "READ") & set(names) for role in ROLES}


def test_the_rules_on_the_broker_are_those_of_the_table_and_one_too_many_is_found(logins):
    until_s = time.monotonic() + 20.0
    while acls.verify(logins.admin) != ([], []) and time.monotonic() < until_s:
        time.sleep(0.2)  # a rule that was made or withdrawn is told a moment later
    assert acls.verify(logins.admin) == ([], [])
    elsewhere = msgspec.structs.replace(logins.admin, topic_prefix="elsewhere.")
    missing, beyond = acls.verify(elsewhere)
    assert any("elsewhere.posts" in words for words in missing)
    assert any("walls.posts" in words for words in beyond)


@pytest.mark.parametrize("role", [role for role in ROLES if role != "operator"])
def test_only_the_operator_makes_topics(logins, role):
    settings = msgspec.structs.replace(logins.roles[role], topic_prefix="walls.more.")
    with pytest.raises(EmberwatchError, match="Authorization"):
        topics.create(settings)


def test_a_wrong_password_and_a_foreign_authority_are_refused_and_not_shown(logins, caplog):
    """Whatever a library logs at its most talkative, our own loggers and its own alike."""
    for name in (None, "kafka", "streams"):
        caplog.set_level(logging.DEBUG, logger=name)
    score = logins.roles["score"]
    consumer(score).close()
    wrong = msgspec.structs.replace(score, sasl_password=Secret("wrong-but-secret"))
    with pytest.raises(EmberwatchError) as refused:
        consumer(wrong)
    assert "wrong-but-secret" not in str(refused.value)
    foreign = msgspec.structs.replace(score, ssl_cafile=None)
    with pytest.raises(EmberwatchError):
        consumer(foreign)
    plain = msgspec.structs.replace(score, security_protocol="PLAINTEXT")
    with pytest.raises(EmberwatchError):
        consumer(plain)
    assert caplog.records
    assert "wrong-but-secret" not in caplog.text
    assert score.sasl_password.reveal() not in caplog.text


@pytest.fixture
def town(logins, tmp_path):
    """Roles with topics of their own, so that probes of other tests are not in them."""
    admin = msgspec.structs.replace(logins.admin, topic_prefix="town.")
    acls.apply(admin)
    given = {
        role: msgspec.structs.replace(
            one, topic_prefix="town.", data_dir=tmp_path / "data", metrics_token=Secret(TOKEN), snapshot_every_s=2.0
        )
        for role, one in logins.roles.items()
    }
    topics.create(given["operator"])
    yield given
    withdraw(logins.admin)
    acls.apply(logins.admin)


def withdraw(admin_settings):
    """Take every access rule off the broker."""
    admin = admin_client(admin_settings)
    try:
        admin.delete_acls([acls.every_rule()])
    finally:
        admin.close()


def test_workers_run_from_post_to_alert_each_as_its_role_and_no_log_holds_a_secret(town, workers, story, oracle):
    running = [workers.start(town["score"], "score"), workers.start(town["monitor"], "monitor")]
    publish.publish_posts(town["publisher"], story.file, speed=0.0, hash_authors=True)
    workers.until_caught_up(town["operator"], "score", ["posts"])
    workers.until_caught_up(town["operator"], "monitor", ["journal"])
    oracle.check(town["operator"])
    assert [workers.stop(process) for process in running] == [0, 0]
    journal_file.export(town["researcher"], out=workers.folder / "journal.jsonl.gz")
    for command in (["feedback", "a-1", "note"], ["alerts"]):
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", *command],
            env={**os.environ, **town["trust"].environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (workers.folder / f"{command[0]}.log").write_text(done.stdout + done.stderr)
    secrets = {SALT, TOKEN, *(one.sasl_password.reveal() for one in town.values())}
    secrets |= {str(connection_options(one)["sasl_plain_password"]) for one in town.values()}
    logs = list(workers.folder.glob("*.log"))
    assert len(logs) == 4
    for log in logs:
        text = log.read_text()
        assert not [secret for secret in secrets if secret in text], log
