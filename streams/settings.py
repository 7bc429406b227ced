"""Settings of a process: `EMBERWATCH_*` variables over an optional TOML file, validated at start.

A setting says where things are and how big they are. What decides an alert is not here, but in the configuration
(`detectors.policy.Configuration`), which is a file of its own and an entry of the journal.
"""

import difflib
import logging
import os
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from detectors.policy import Configuration
from streams.errors import SettingsError
from streams.toml_file import error_at, line_of, read_toml

PREFIX = "EMBERWATCH_"
FILE_VARIABLE = "EMBERWATCH_SETTINGS"

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Stage = Literal["score", "monitor"]
Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Backend = Literal["auto", "torch", "torch-bf16", "openvino", "openvino-bf16"]
Tier = Literal["full", "fast"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

METRICS_PORTS: dict[Stage, int] = {"score": 9101, "monitor": 9102}
SET_BY_THE_SHELL = (
    "look_model",
    "embedding_space",
    "weights_hash",
    "code_version",
    "source_partitions",
    "shards",
    "epoch",
)
"""Fields of the configuration that a file may not give: they come from the model, the code and the settings."""

_BROKER = re.compile(r"(\[[^\s\]]+\]|[^\s,:/\[\]]+):\d{1,5}")

_log = logging.getLogger(__name__)


class Secret:
    """A value that shows itself only where `reveal` is called.

    >>> Secret("hunter2"), str(Secret("hunter2")), f"{Secret('hunter2')}", Secret("hunter2").reveal()
    (***, '***', '***', 'hunter2')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the value itself; for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Refuse to be pickled or copied into something that would show it."""
        raise TypeError("a secret is not serialised")


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the broker is, what is listened on, which model scores.

    The variable of a field is `EMBERWATCH_` and its name in capitals.
    """

    broker: str = "127.0.0.1:9092"
    """Bootstrap servers, `host:port`, several with commas."""
    embedded: bool = False
    """The broker is the embedded one: it needs short group timeouts, and ignores some settings of topics."""
    topic_prefix: str = ""
    """Put before the name of every topic and consumer group."""
    posts_partitions: Count = 4
    """Partitions of `posts`: as many score workers can share the work."""
    shards: Count = 1
    """Partitions of `journal` and `snapshots`, each with one monitor."""
    replication: Count = 1
    """Copies of each partition."""
    security_protocol: Protocol = "PLAINTEXT"
    """How the broker is spoken to."""
    sasl_mechanism: Mechanism | None = None
    """How this client proves who it is (with SASL_PLAINTEXT and SASL_SSL)."""
    sasl_username: str | None = None
    """User name for SASL."""
    sasl_password: Secret | None = None
    """Password for SASL."""
    ssl_cafile: Path | None = None
    """PEM file of the authority that signed the broker's certificate (else those of the system)."""
    ssl_certfile: Path | None = None
    """PEM file of this client's certificate."""
    ssl_keyfile: Path | None = None
    """PEM file of this client's key."""
    model: str = ""
    """Sentence model by name or folder; empty is the one that comes with the project; `hash` is for tests."""
    model_revision: str | None = None
    """Revision of a model that is named, not a folder."""
    backend: Backend = "auto"
    """How the sentence model is run; `auto` measures once which way is the fastest here, and remembers it."""
    tier: Tier = "full"
    """`fast` scores by a table distilled from the model, some fifty times as fast. In both a model tuned for incitement
    looks again at a few posts of narratives that are about to alert, and under `fast` the full model, too."""
    fast_model: Path | None = None
    """Folder that `emberwatch distill` wrote; without it the table that comes with the project, of the default
    model."""
    heads: Path | None = None
    """Folder of heads trained for one's own model or languages (`emberwatch train incitement`, `stance`,
    `second-look`). One that fits the model goes before the one that comes with the project."""
    cache_texts: Count = 200_000
    """Texts whose scores are remembered, so that a repeated text costs no embedding."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """Threads of the model; 0 leaves it to the model."""
    configuration: Path | None = None
    """TOML file with policy and parameters; without it the defaults."""
    hash_salt: Secret | None = None
    """Key under which author names are hashed."""
    hash_salts_before: Secret | None = None
    """Keys it replaced, `YYYY-MM-DD:KEY` with the day of each, several with spaces; destroyed after 30 days."""
    metrics_host: str = "127.0.0.1"
    """Address on which `/metrics` and `/healthz` listen."""
    metrics_port: Port | None = None
    """Port of them; unset is 9101 for score and 9102 for monitor, 0 is any free one."""
    metrics_token: Secret | None = None
    """What a scraper must show (`Authorization: Bearer`); needed when metrics listen beyond this machine."""
    console_host: str = "127.0.0.1"
    """Address on which the console listens."""
    console_port: Port = 8080
    """Port of the console; 0 is any free one."""
    console_token: Secret | None = None
    """What a reader of the console must show; needed when it listens beyond this machine."""
    console_user_header: str | None = None
    """Header in which an authenticating proxy in front of the console names the reader; only behind such a proxy."""
    console_url: str = "http://127.0.0.1:8080"
    """Base of the links to the console in alerts."""
    instance: str | None = None
    """Name of this worker that it keeps over restarts, another for each: its partitions then wait for it (10 s)."""
    snapshot_every_s: Annotated[float, Meta(gt=0.0)] = 60.0
    """Seconds between two snapshots of a shard."""
    data_dir: Path = Path(".emberwatch")
    """Folder for what a process keeps on disk: what was in hand when one died. Keep it on a lasting volume."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""
    log_json: bool = False
    """Log one JSON object a line, not text."""

    def metrics_port_of(self, stage: Stage) -> int:
        """Port on which a stage's metrics are served; 0 asks for a free one."""
        return METRICS_PORTS[stage] if self.metrics_port is None else self.metrics_port

    def environment(self) -> dict[str, str]:
        """Variables from which a child process loads these same settings; they hold the secrets."""
        return {
            variable_of(field.name): _as_variable(value)
            for field in msgspec.structs.fields(self)
            if (value := getattr(self, field.name)) is not None
        }


def variable_of(name: str) -> str:
    """Name of the variable that sets a field."""
    return PREFIX + name.upper()


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process; raises `SettingsError` naming the first thing that is wrong.

    Parameters
    ----------
    environ : variables to read instead of this process's own.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    if file := environ.get(FILE_VARIABLE):
        given |= _from_file(Path(file))
    given |= _from_variables(environ)
    settings = Settings(**given)
    _check_together(settings)
    return settings


def load_configuration(path: Path | None) -> Configuration:
    """Policy and parameters from a TOML file (the defaults without one).

    Raises `SettingsError` naming file, line and key. Fields that the shell sets may not be in the file.
    """
    if path is None:
        return Configuration()
    text, document = read_toml(path)
    for name in SET_BY_THE_SHELL:
        if name in document:
            raise SettingsError(
                f"{path}:{line_of(text, f'$.{name}')}: {name}: is not given in a file, but set at start"
            )
    try:
        configuration = msgspec.convert(document, Configuration)
    except msgspec.ValidationError as error:
        raise error_at(path, text, error) from error
    _check_rules(path, text, configuration)
    return configuration


def _check_rules(path: Path, text: str, configuration: Configuration) -> None:
    from detectors import alerts

    for number in range(len(configuration.rules)):
        try:
            alerts.check_rules(configuration.rules[: number + 1])
        except ValueError as error:
            line = line_of(text, f"$.rules[{number}].when")
            raise SettingsError(f"{path}:{line or 1}: {error}") from error


def _from_file(path: Path) -> dict[str, Any]:
    text, document = read_toml(path)
    types = _types()
    given: dict[str, Any] = {}
    for name, value in document.items():
        line = line_of(text, f"$.{name}")
        if name not in types:
            raise SettingsError(f"{path}:{line}: {name}: no such setting{_did_you_mean(name, list(types))}")
        try:
            given[name] = msgspec.convert(value, types[name], dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{path}:{line}: {name}: {_reason(error, types[name])}") from None
    return given


def _from_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    types = {variable_of(name): (name, kind) for name, kind in _types().items()}
    given: dict[str, Any] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name != FILE_VARIABLE):
        if variable not in types:
            _log.warning("%s is not a setting and is ignored%s", variable, _did_you_mean(variable, list(types)))
            continue
        name, kind = types[variable]
        if not environ[variable] and type(None) in typing.get_args(kind):
            continue
        try:
            given[name] = msgspec.convert(environ[variable], kind, strict=False, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{variable}: {_reason(error, kind)}") from None
    return given


def _types() -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(Settings)}


def _decode(kind: type, value: object) -> object:
    if kind is Secret or kind is Path:
        if not isinstance(value, str) or not value:
            raise ValueError("expected a text that is not empty")
        return kind(value)
    raise NotImplementedError(kind)


def _reason(error: msgspec.ValidationError, kind: Any) -> str:
    """What is wrong, without the value: it may be a secret."""
    words = [argument for part in (kind, *typing.get_args(kind)) for argument in typing.get_args(part)]
    if "enum" in str(error):
        return f"expected one of {', '.join(word for word in words if isinstance(word, str))}"
    return str(error).split(" - at `$")[0].replace(", got `str`", "")


def _did_you_mean(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _check_together(settings: Settings) -> None:
    """Refuse what no single type says: addresses, missing files, settings that need one another."""
    if not all(_BROKER.fullmatch(address) for address in settings.broker.split(",")):
        raise SettingsError(f"{variable_of('broker')}: expected host:port, several with commas")
    if not re.fullmatch(r"https?://\S+", settings.console_url):
        raise SettingsError(f"{variable_of('console_url')}: expected a link that starts with http:// or https://")
    _check_names(settings)
    if settings.security_protocol.startswith("SASL"):
        for name in ("sasl_mechanism", "sasl_username", "sasl_password"):
            if getattr(settings, name) is None:
                raise SettingsError(f"{variable_of(name)}: needed with security protocol {settings.security_protocol}")
    if (settings.ssl_certfile is None) != (settings.ssl_keyfile is None):
        raise SettingsError(f"{variable_of('ssl_certfile')}: a certificate and its key are given together")
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "configuration"):
        path: Path | None = getattr(settings, name)
        if path is not None and not path.is_file():
            raise SettingsError(f"{variable_of(name)}: no file {path}")


def _check_names(settings: Settings) -> None:
    """Refuse what Kafka would refuse in the name of a topic or of a member of a group."""
    for name in ("topic_prefix", "instance"):
        if not re.fullmatch(r"[A-Za-z0-9._-]{0,100}", getattr(settings, name) or ""):
            raise SettingsError(f"{variable_of(name)}: expected at most 100 letters, digits, dots, dashes, underscores")


def _as_variable(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
