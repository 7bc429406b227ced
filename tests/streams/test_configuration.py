import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from detectors.policy import Configuration, Rule, config_hash
from streams import configuration, kafka_clients, topics
from streams.errors import EmberwatchError
from streams.settings import load_configuration


@pytest.fixture
def ready(each_broker):
    topics.create(each_broker)
    return each_broker


def test_what_is_applied_is_in_force_and_completed_by_the_shell(ready, tmp_path, capsys):
    file = tmp_path / "policy.toml"
    file.write_text("[virality]\nburst_z = 7.5\n")
    assert configuration.in_force(ready) is None
    configuration.apply(ready, file=file)
    present = configuration.in_force(ready)
    assert present.virality.burst_z == 7.5
    assert present.embedding_space.startswith("hash-64")
    assert "virality.burst_z: 4.0 -> 7.5" in capsys.readouterr().out


@pytest.mark.broker
def test_what_is_in_force_already_is_not_sent_again(broker, capsys):
    topics.create(broker)
    configuration.apply(broker, file=None)
    configuration.apply(broker, file=None)
    assert "in force already" in capsys.readouterr().out
    assert len(list(kafka_clients.read_to_end(broker, [topics.topic_name(broker, "configuration")]))) == 1


@pytest.mark.broker
def test_another_number_of_shards_is_refused_for_it_needs_another_journal(broker):
    topics.create(broker)
    configuration.apply(broker, file=None)
    with pytest.raises(EmberwatchError, match=r"shards is 1 .* and 2"):
        configuration.apply(msgspec.structs.replace(broker, shards=2), file=None)


@hypothesis_settings(max_examples=30)
@given(burst_z=st.floats(0.1, 100.0), name=st.text(min_size=1, max_size=20))
def test_what_is_shown_can_be_applied_again(tmp_path_factory, burst_z, name):
    rules = (Rule(name=name, when=("viral", "not contested"), severity="watch", kind="viral"),)
    shown = Configuration(rules=rules, virality=msgspec.structs.replace(Configuration().virality, burst_z=burst_z))
    file = tmp_path_factory.mktemp("policy") / "policy.toml"
    file.write_text(configuration.as_toml(shown), encoding="utf-8")
    assert config_hash(load_configuration(file)) == config_hash(shown)
