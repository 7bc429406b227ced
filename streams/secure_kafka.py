"""An Apache Kafka on this machine with its walls up: TLS, a user and password for each role, and access rules.

It is what a production cluster looks like to our clients: certificates of an authority of its own, SASL/SCRAM, and
Kafka's StandardAuthorizer, which refuses what no rule allows. For trials and tests; keys and passwords are made anew
for each folder.
"""

import contextlib
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from streams import acls, apache_kafka, kafka_clients, topics
from streams.acls import ROLES, Role, user_of
from streams.embedded_broker import HOST, wait_for_interrupt
from streams.errors import EmberwatchError
from streams.settings import Secret, Settings

Users: TypeAlias = Mapping[str, Secret]

ADMIN = "admin"
DAYS = 30
_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Logins(Struct, frozen=True):
    """Settings with which each of them reaches the node."""

    roles: dict[Role, Settings]
    admin: Settings
    """Who may do everything; for making access rules alone."""


@contextlib.contextmanager
def secure_kafka(settings: Settings, folder: Path, *, port: int = 0) -> Iterator[Logins]:
    """Run one node while the context lasts, topics and access rules made; gives who can log in.

    Parameters
    ----------
    folder : gets certificates, keys and the node's data; readable for this user alone.

    Raises `EmberwatchError` where something is missing or it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _make_certificates(folder)
    passwords = {user: Secret(secrets.token_urlsafe(24)) for user in (ADMIN, *map(user_of, ROLES))}
    common = msgspec.structs.replace(
        settings,
        embedded=False,
        replication=1,
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        ssl_cafile=folder / "ca.pem",
    )
    admin = _as_user(common, ADMIN, passwords)
    walls = apache_kafka.Walls(
        properties=_properties(folder, passwords[ADMIN]),
        users=passwords,
        connection=kafka_clients.connection_options(admin),
    )
    with apache_kafka.apache_kafka(port, data=folder / "data", walls=walls) as address:
        there = msgspec.structs.replace(common, broker=address)
        logins = Logins(
            roles={role: _as_user(there, user_of(role), passwords) for role in ROLES},
            admin=_as_user(there, ADMIN, passwords),
        )
        acls.apply(logins.admin)
        topics.create(logins.roles["operator"])
        yield logins


def run_start(settings: Settings, *, port: int, folder: Path) -> int:
    """Run it in the foreground until Ctrl-C; `folder` gets a file of variables for each role."""
    import click

    shutil.rmtree(folder, ignore_errors=True)
    with secure_kafka(settings, folder, port=port) as logins:
        for role, given in logins.roles.items():
            file = folder / f"{role}.env"
            file.touch(mode=0o600)
            variables = given.environment()
            wanted = [name for name in variables if any(word in name for word in ("BROKER", "SASL", "SSL", "SECURITY"))]
            file.write_text("".join(f"export {name}={variables[name]}\n" for name in wanted), encoding="utf-8")
            click.echo(f". {file}    # {acls.ROLE_HOLDERS[role]}")
        click.echo(f"Apache Kafka listens on {logins.admin.broker} (SASL_SSL, SCRAM-SHA-512). Ctrl-C ends it.")
        wait_for_interrupt(logins.admin.broker)
    return 0


def _as_user(settings: Settings, user: str, passwords: Users) -> Settings:
    return msgspec.structs.replace(settings, sasl_username=user, sasl_password=passwords[user])


def _properties(folder: Path, password: Secret) -> str:
    """Settings of the node: everybody logs in over TLS, its own controller included, and nobody is trusted unnamed."""
    login = 'org.apache.kafka.common.security.{module} required username="{user}" password="{password}"{more};'
    scram = login.format(module="scram.ScramLoginModule", user=ADMIN, password=password.reveal(), more="")
    plain = login.format(
        module="plain.PlainLoginModule",
        user=ADMIN,
        password=password.reveal(),
        more=f' user_{ADMIN}="{password.reveal()}"',
    )
    return "\n".join(
        [
            "listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:SASL_SSL",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={folder / 'broker.pem'}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={folder / 'ca.pem'}",
            "ssl.enabled.protocols=TLSv1.3,TLSv1.2",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512",
            f"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram}",
            "listener.name.controller.sasl.enabled.mechanisms=PLAIN",
            "sasl.mechanism.controller.protocol=PLAIN",
            f"listener.name.controller.plain.sasl.jaas.config={plain}",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            f"super.users=User:{ADMIN}",
        ]
    )


def _make_certificates(folder: Path) -> None:
    """An authority, and a certificate of the broker for this machine: `ca.pem`, `broker.pem` (key and chain)."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise EmberwatchError("certificates are made with openssl, and there is none on this machine")
    ca, key, request, broker = (folder / name for name in ("ca.pem", "ca.key", "broker.csr", "broker.crt"))
    names = folder / "names.txt"
    names.write_text(f"subjectAltName=IP:{HOST},DNS:localhost\n", encoding="utf-8")
    days, named = ["-days", str(DAYS)], ["-extfile", names]
    steps = [
        ["req", "-x509", *_CURVE, "-keyout", key, "-out", ca, *days, "-subj", "/CN=Emberwatch trial authority"],
        ["req", *_CURVE, "-keyout", folder / "broker.key", "-out", request, "-subj", f"/CN={HOST}"],
        ["x509", "-req", "-in", request, "-CA", ca, "-CAkey", key, "-CAcreateserial", "-out", broker, *days, *named],
    ]
    for step in steps:
        done = subprocess.run([openssl, *map(str, step)], check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise EmberwatchError(f"openssl made no certificate: {done.stderr.strip()[:1000]}")
    chain = [(folder / name).read_text(encoding="utf-8") for name in ("broker.key", "broker.crt", "ca.pem")]
    (folder / "broker.pem").touch(mode=0o600)
    (folder / "broker.pem").write_text("".join(chain), encoding="utf-8")
