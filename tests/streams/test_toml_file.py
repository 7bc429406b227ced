import pytest

from streams.toml_file import line_of, read_toml

TEXT = """\
schema_version = 1  # [not.a.table]
narratives.lexical_weight = 0.5

[virality]
burst_z = 4.0

[[rules]]
name = "a = b"
when = [
  "viral",
]

[[rules]]
name = "second"
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("$.schema_version", 1),
        ("$.narratives.lexical_weight", 2),
        ("$.virality", 4),
        ("$.virality.burst_z", 5),
        ("$.rules[0].name", 8),
        ("$.rules[0].when[0]", 9),
        ("$.rules[1].name", 14),
        ("$.rules[1].severity", 13),
        ("$.nowhere", None),
    ],
)
def test_a_key_is_found_or_else_its_nearest_parent(where, line):
    assert line_of(TEXT, where) == line


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_toml(tmp_path / "none.toml")
