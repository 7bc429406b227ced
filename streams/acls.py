"""Who may do what on the broker: roles with the least that each needs, as Kafka's access rules.

One user a role; what a role is not granted here it is refused (`allow.everyone.if.no.acl.found=false`, the default
of Kafka's StandardAuthorizer). `emberwatch acls print` gives the lines for `kafka-acls.sh`, `apply` makes the rules,
`verify` compares. `deploy/kafka/acls.txt` holds the lines for the default names.
"""

from typing import Any, Literal, get_args

from msgspec import Struct

from streams.errors import EmberwatchError
from streams.settings import Settings
from streams.topics import TOPICS, Name

Role = Literal["operator", "publisher", "score", "monitor", "console", "trust", "researcher"]
ROLES: tuple[Role, ...] = get_args(Role)

Operation = Literal["READ", "WRITE", "DESCRIBE", "CREATE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"]
Resource = Literal["TOPIC", "GROUP", "TRANSACTIONAL_ID"]

ROLE_HOLDERS: dict[Role, str] = {
    "operator": "makes and checks topics, applies configurations, asks for erasures, proves retention",
    "publisher": "sources of posts and of fact-checks",
    "score": "score workers",
    "monitor": "monitor workers",
    "console": "the console: reads alerts and narratives, writes people's words and the audit log",
    "trust": "the platform's trust team: alerts without texts, and what it did about them",
    "researcher": "exports the journal, which holds texts; each export is on the audit log",
}


class Grant(Struct, frozen=True, kw_only=True, order=True):
    """One role may do one thing with one resource."""

    role: Role
    resource: Resource
    name: str
    """Without the prefix of the topics, which a real name begins with."""
    prefixed: bool = False
    """Whether the name is the beginning of names."""
    operation: Operation


_READS: dict[Role, tuple[Name, ...]] = {
    "publisher": (),
    "score": ("posts", "configuration", "claims", "feedback", "crisis", "deletions", "looks"),
    "monitor": (
        "journal",
        "snapshots",
        *("configuration", "claims", "crisis", "deletions"),  # what a state without a past begins with
        "alerts",
        "alert-history",
        "narrative-history",
    ),
    "console": ("alerts", "alert-history", "narratives", "narrative-history", "journal"),
    "trust": ("alerts", "alert-history"),
    "researcher": ("journal", "configuration", "alerts", "alert-history", "narrative-history"),
    "operator": tuple(topic.name for topic in TOPICS),
}

_WRITES: dict[Role, tuple[Name, ...]] = {
    "publisher": ("posts", "claims", "audit"),
    "score": ("journal", "dead-letters"),
    "monitor": (
        "journal",
        "snapshots",
        "configuration",
        "alerts",
        "alert-history",
        "narratives",
        "narrative-history",
        "looks",
    ),
    "console": ("feedback", "audit"),
    "trust": ("feedback", "audit"),
    "researcher": ("audit",),
    "operator": ("configuration", "crisis", "deletions", "audit"),
}

_DESCRIBES: dict[Role, tuple[Name, ...]] = {
    "score": ("journal",),  # where it ends: an empty one is begun with the configuration
    "monitor": ("posts",),  # how far the scorers are, before a tick
}
"""What may be seen without being read: reading and writing include it."""

_GROUPS: dict[Role, str] = {
    "score": "emberwatch-score",
    "monitor": "emberwatch-monitor",
    "trust": "trust-",
    "researcher": "research-",
}


def grants() -> list[Grant]:
    """Every rule, in a fixed order."""
    given: list[Grant] = []
    for role in ROLES:
        for operation, table in (("READ", _READS), ("WRITE", _WRITES), ("DESCRIBE", _DESCRIBES)):
            given += [
                Grant(role=role, resource="TOPIC", name=name, operation=operation)  # type: ignore[arg-type]
                for name in table.get(role, ())
            ]
        if group := _GROUPS.get(role):
            given.append(Grant(role=role, resource="GROUP", name=group, prefixed=group.endswith("-"), operation="READ"))
    given += [
        Grant(role="monitor", resource="GROUP", name="emberwatch-score", operation="DESCRIBE"),
        Grant(role="operator", resource="GROUP", name="emberwatch-", prefixed=True, operation="DESCRIBE"),
    ]
    given += [
        Grant(role="monitor", resource="TRANSACTIONAL_ID", name="emberwatch-shard-", prefixed=True, operation=one)
        for one in ("WRITE", "DESCRIBE")
    ]
    for topic in TOPICS:
        operations: tuple[Operation, ...] = ("CREATE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS")
        given += [Grant(role="operator", resource="TOPIC", name=topic.name, operation=one) for one in operations]
    return given


def user_of(role: Role) -> str:
    """Name under which a role logs in.

    >>> user_of("score")
    'emberwatch-score'
    """
    return f"emberwatch-{role}"


def lines(settings: Settings) -> list[str]:
    """Commands for `kafka-acls.sh`, one a rule; `$KAFKA` stands for how the cluster is reached.

    >>> lines(Settings())[0]
    'kafka-acls.sh $KAFKA --add --allow-principal User:emberwatch-operator --operation Read --topic posts'
    """
    return [_line(settings, grant) for grant in grants()]


def apply(settings: Settings) -> int:
    """Make every rule (those that are there stay); how many there are. Raises `EmberwatchError` on a refusal."""
    from streams.kafka_clients import admin_client

    wanted = [_acl(settings, grant) for grant in grants()]
    admin = admin_client(settings)
    try:
        result = admin.create_acls(wanted)
    finally:
        admin.close()
    if failed := result["failed"]:
        raise EmberwatchError(f"{len(failed)} access rules were not made: {failed[0].__name__}")
    return len(wanted)


def every_rule() -> Any:
    """Filter (`kafka.admin.ACLFilter`) that every access rule of a broker passes."""
    from kafka.admin import ACLFilter, ACLOperation, ACLPermissionType, ResourcePatternFilter, ResourceType
    from kafka.admin import ACLResourcePatternType as PatternType

    return ACLFilter(
        principal=None,
        host=None,
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ANY,
        resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, PatternType.ANY),
    )


def verify(settings: Settings) -> tuple[list[str], list[str]]:
    """Compare the broker's rules for our users with the table: what is missing, and what nobody asked for."""
    from kafka.errors import NoError

    from streams.kafka_clients import admin_client

    admin = admin_client(settings)
    try:
        found, error = admin.describe_acls(every_rule())
    finally:
        admin.close()
    if error is not NoError:
        raise EmberwatchError(f"the broker does not tell its access rules: {error}")
    ours = {f"User:{user_of(role)}" for role in ROLES}
    there = {_words(acl) for acl in found if acl.principal in ours}
    wanted = {_words(_acl(settings, grant)) for grant in grants()}
    return sorted(wanted - there), sorted(there - wanted)


def run_print(settings: Settings) -> int:
    """Print the commands, each role under a heading."""
    import click

    click.echo("# Access rules of Emberwatch for kafka-acls.sh; `emberwatch acls print` writes this.")
    click.echo('# KAFKA="--bootstrap-server host:port --command-config admin.properties"')
    given = grants()
    for role in ROLES:
        click.echo(f"\n# {user_of(role)}: {ROLE_HOLDERS[role]}")
        for grant in given:
            if grant.role == role:
                click.echo(_line(settings, grant))
    return 0


def run_apply(settings: Settings) -> int:
    """Make the rules and say how many."""
    import click

    click.echo(f"{apply(settings)} access rules on {settings.broker}")
    return 0


def run_verify(settings: Settings) -> int:
    """Say what differs; 1 if anything does."""
    import click

    missing, beyond = verify(settings)
    for words in missing:
        click.echo(f"missing: {words}")
    for words in beyond:
        click.echo(f"not in the table: {words}")
    if not missing and not beyond:
        click.echo(f"{len(grants())} access rules, all as they should be")
    return 1 if missing or beyond else 0


def _name(settings: Settings, grant: Grant) -> str:
    """Full name: groups and transactions of our own workers carry the prefix too, those of guests do not."""
    own = grant.resource == "TOPIC" or grant.name.startswith("emberwatch-")
    return settings.topic_prefix + grant.name if own else grant.name


def _line(settings: Settings, grant: Grant) -> str:
    option = {"TOPIC": "--topic", "GROUP": "--group", "TRANSACTIONAL_ID": "--transactional-id"}[grant.resource]
    operation = grant.operation.title().replace("_", "")
    words = (
        f"kafka-acls.sh $KAFKA --add --allow-principal User:{user_of(grant.role)}"
        f" --operation {operation} {option} {_name(settings, grant)}"
    )
    return f"{words} --resource-pattern-type prefixed" if grant.prefixed else words


def _acl(settings: Settings, grant: Grant) -> "object":
    from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

    kind = ACLResourcePatternType.PREFIXED if grant.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        principal=f"User:{user_of(grant.role)}",
        host="*",
        operation=ACLOperation[grant.operation],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[grant.resource], _name(settings, grant), kind),
    )


def _words(acl: "object") -> str:
    pattern = acl.resource_pattern  # type: ignore[attr-defined]
    principal, operation = acl.principal, acl.operation  # type: ignore[attr-defined]
    permission = acl.permission_type.name  # type: ignore[attr-defined]
    return (
        f"{permission} {principal} {operation.name} {pattern.resource_type.name} {pattern.resource_name}"
        f" ({pattern.pattern_type.name}) from {acl.host}"  # type: ignore[attr-defined]
    )
