"""`emberwatch config`: the policy and parameters in force on the broker, and how they are changed.

A configuration is an entry of the journal: it holds from where it stands, in every replay alike.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from kafka.errors import KafkaError

from detectors.codec import decode_record, encode_record
from detectors.policy import Configuration, config_hash
from streams import audit
from streams.errors import EmberwatchError
from streams.kafka_clients import demand_topic, producer, read_to_end
from streams.settings import SET_BY_THE_SHELL, Settings, load_configuration
from streams.topics import topic_name


def in_force(settings: Settings) -> Configuration | None:
    """Give the last configuration on the broker, or None where there is none yet."""
    last = None
    for record in read_to_end(settings, [topic_name(settings, "configuration")]):
        try:
            last = decode_record(Configuration, record.value or b"")
        except (msgspec.MsgspecError, ValueError):
            continue  # the scorers refuse it too: it is a dead letter, not a configuration
    return last


def apply(settings: Settings, *, file: Path | None) -> int:
    """Put a file's configuration in force and say what it changes."""
    from streams.models import configuration_of

    wanted = configuration_of(settings, load_configuration(file or settings.configuration))
    present = in_force(settings)
    if present is not None:
        wanted = msgspec.structs.replace(wanted, epoch=present.epoch)
        _refuse_new_epoch(present, wanted)
    if present is not None and config_hash(present) == config_hash(wanted):
        click.echo(f"{config_hash(wanted)} is in force already")
        return 0
    audit.note_command(settings, "configuration", about=config_hash(wanted))
    _send(settings, wanted)
    for line in differences(present or Configuration(), wanted):
        click.echo(line)
    click.echo(f"{config_hash(wanted)} is in force from here on")
    return 0


def show(settings: Settings, *, defaults: bool) -> int:
    """Print the configuration in force (or the defaults) as a file that `apply` takes."""
    configuration = Configuration() if defaults else in_force(settings)
    if configuration is None:
        raise EmberwatchError(
            "no configuration is in force yet; `emberwatch config show --defaults` shows the defaults"
        )
    click.echo(as_toml(configuration), nl=False)
    return 0


def as_toml(configuration: Configuration) -> str:
    """Write a configuration as a file; what the shell sets is a comment.

    >>> "[virality]" in as_toml(Configuration()).splitlines()
    True
    """
    fields: dict[str, Any] = msgspec.to_builtins(configuration)
    lines = [f'# config_hash = "{config_hash(configuration)}"']
    lines += [f"# {name} = {_value(fields.pop(name))}" for name in SET_BY_THE_SHELL]
    rules = fields.pop("rules")
    lines += [f"{name} = {_value(value)}" for name, value in fields.items() if not isinstance(value, dict)]
    tables = [(f"[{name}]", table) for name, table in fields.items() if isinstance(table, dict)]
    for header, table in [*tables, *(("[[rules]]", rule) for rule in rules)]:
        lines += ["", header, *(f"{name} = {_value(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"


def differences(before: Configuration, after: Configuration) -> Iterator[str]:
    """Name what differs, one line each.

    >>> list(differences(Configuration(), Configuration(epoch=2)))
    ['epoch: 1 -> 2']
    """
    old, new = (dict(_leaves(msgspec.to_builtins(configuration))) for configuration in (before, after))
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            yield f"{name}: {_value(old.get(name))} -> {_value(new.get(name))}"


def _refuse_new_epoch(present: Configuration, wanted: Configuration) -> None:
    """Vectors of two spaces, or journals of two numbers of shards, do not mix: that is a new epoch, made elsewhere."""
    for name in ("embedding_space", "shards"):
        if (was := getattr(present, name)) and was != getattr(wanted, name):
            raise EmberwatchError(
                f"{name} is {_value(was)} on this broker and {_value(getattr(wanted, name))} in these settings:"
                " that needs a journal of its own (another EMBERWATCH_TOPIC_PREFIX), fed again from the posts"
            )


def _send(settings: Settings, configuration: Configuration) -> None:
    topic = topic_name(settings, "configuration")
    demand_topic(settings, topic)
    sender = producer(settings)
    try:
        sender.send(topic, value=encode_record(configuration)).get(timeout=30.0)
    except KafkaError as error:
        raise EmberwatchError(f"the broker has not confirmed the configuration: {error}") from error
    finally:
        sender.close(timeout=10.0)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        yield path, value


def _value(value: Any) -> str:
    """A number, text or list of texts: in JSON and TOML alike."""
    return "nothing" if value is None else msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
