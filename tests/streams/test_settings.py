import logging

import msgspec
import pytest

from detectors.policy import Configuration
from streams.settings import Secret, Settings, load_configuration, load_settings, variable_of
from streams.settings_command import meanings

SECRET = "hunter2-of-the-test"


def test_without_variables_the_defaults_hold():
    assert load_settings({}) == Settings()


def test_variables_are_read_as_the_type_of_their_field():
    settings = load_settings(
        {"EMBERWATCH_SHARDS": "3", "EMBERWATCH_EMBEDDED": "true", "EMBERWATCH_SNAPSHOT_EVERY_S": "1.5"}
    )
    assert (settings.shards, settings.embedded, settings.snapshot_every_s) == (3, True, 1.5)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("EMBERWATCH_SHARDS", "0", ">= 1"),
        ("EMBERWATCH_SHARDS", "three", "int"),
        ("EMBERWATCH_EMBEDDED", "perhaps", "bool"),
        ("EMBERWATCH_BROKER", "localhost", "host:port"),
        ("EMBERWATCH_METRICS_PORT", "65536", "<= 65535"),
        ("EMBERWATCH_SECURITY_PROTOCOL", "TLS", "PLAINTEXT, SSL"),
        ("EMBERWATCH_SASL_MECHANISM", "SCRAM", "SCRAM-SHA-512"),
        ("EMBERWATCH_TOPIC_PREFIX", "a b", "letters"),
        ("EMBERWATCH_CONSOLE_URL", "console", "http"),
        ("EMBERWATCH_SSL_CAFILE", "/nonexistent.pem", "no file"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_wrong(variable, value, words):
    with pytest.raises(ValueError, match=f"^{variable}: ") as caught:
        load_settings({variable: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_variable_leaves_an_optional_setting_unset():
    assert load_settings({"EMBERWATCH_HASH_SALT": "", "EMBERWATCH_METRICS_PORT": ""}) == Settings()


def test_an_unknown_variable_is_warned_about_with_the_one_that_was_meant(caplog):
    with caplog.at_level(logging.WARNING):
        load_settings({"EMBERWATCH_BROKR": "x:1"})
    assert "EMBERWATCH_BROKR" in caplog.text
    assert "did you mean EMBERWATCH_BROKER?" in caplog.text


def test_variables_win_over_the_file(tmp_path):
    file = tmp_path / "emberwatch.toml"
    file.write_text('shards = 2\nbroker = "kafka:9092"\n')
    settings = load_settings({"EMBERWATCH_SETTINGS": str(file), "EMBERWATCH_SHARDS": "5"})
    assert (settings.shards, settings.broker) == (5, "kafka:9092")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("# comment\nshards = 'two'\n", ":2: shards: "),
        ("shards = 1\nbrker = 'x:1'\n", ":2: brker: no such setting; did you mean broker?"),
        ("shards = \n", "not TOML"),
    ],
)
def test_an_error_in_the_file_names_file_line_and_key(tmp_path, content, words):
    file = tmp_path / "emberwatch.toml"
    file.write_text(content)
    with pytest.raises(ValueError, match=f"^{file}") as caught:
        load_settings({"EMBERWATCH_SETTINGS": str(file)})
    assert words in str(caught.value)


def test_sasl_needs_a_user_a_password_and_a_mechanism():
    with pytest.raises(ValueError, match="EMBERWATCH_SASL_MECHANISM"):
        load_settings({"EMBERWATCH_SECURITY_PROTOCOL": "SASL_SSL"})


def test_no_secret_is_shown_by_settings_errors_or_logs(caplog):
    environ = {"EMBERWATCH_HASH_SALT": SECRET, "EMBERWATCH_CONSOLE_TOKEN": SECRET, "EMBERWATCH_SASL_PASSWORD": SECRET}
    settings = load_settings(environ)
    assert SECRET not in f"{settings} {settings!r} {msgspec.structs.asdict(settings)}"
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("streams").warning("started with %s", settings)
    assert SECRET not in caplog.text
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)
    with pytest.raises(ValueError, match="SHARDS") as caught:
        load_settings(environ | {"EMBERWATCH_SHARDS": SECRET})
    assert SECRET not in str(caught.value)


def test_settings_given_to_a_child_process_are_the_same_there():
    settings = load_settings({"EMBERWATCH_HASH_SALT": SECRET, "EMBERWATCH_EMBEDDED": "1", "EMBERWATCH_SHARDS": "2"})
    assert load_settings(settings.environment()) == settings
    assert settings.hash_salt == Secret(SECRET)


def test_ports_of_metrics_differ_between_the_stages_unless_one_is_given():
    assert Settings().metrics_port_of("score") != Settings().metrics_port_of("monitor")
    assert load_settings({"EMBERWATCH_METRICS_PORT": "0"}).metrics_port_of("monitor") == 0


def test_every_setting_says_what_it_is_for():
    assert set(meanings()) == {field.name for field in msgspec.structs.fields(Settings)}
    assert variable_of("shards") == "EMBERWATCH_SHARDS"


def test_a_policy_file_gives_any_part_and_the_rest_are_defaults(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text("[virality]\nburst_z = 7.5\n")
    configuration = load_configuration(file)
    assert configuration.virality.burst_z == 7.5
    assert configuration.narratives == Configuration().narratives
    assert load_configuration(None) == Configuration()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[virality]\n\nburst_z = -1.0\n", ":3: virality.burst_z: "),
        ("[virality]\nbrst_z = 1.0\n", ":2: virality.brst_z: no such key"),
        ("[[rules]]\nname = 'a'\nwhen = ['viral']\nseverity = 'loud'\nkind = 'viral'\n", ":4: rules[0].severity: "),
        ("[[rules]]\nname = 'a'\nwhen = ['vrial']\nseverity = 'page'\nkind = 'viral'\n", ":3: rule 'a'"),
        ("shards = 2\n", ":1: shards: "),
        ("embedding_space = 'x'\n", ":1: embedding_space: "),
    ],
)
def test_an_error_in_a_policy_file_names_file_line_and_key(tmp_path, content, words):
    file = tmp_path / "policy.toml"
    file.write_text(content)
    with pytest.raises(ValueError, match=f"^{file}") as caught:
        load_configuration(file)
    assert words in str(caught.value)
