"""Nothing in the sources can be made to run what a record, a file or a model says: read from the syntax tree."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(file for folder in ("detectors", "streams", "grafana") for file in (ROOT / folder).rglob("*.py"))

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "xml", "code", "pty"}
"""Read what runs, or, of XML, what fetches."""

CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "torch.load"}
KEYWORDS = {("shell", True), ("allow_pickle", True), ("trust_remote_code", True), ("weights_only", False)}


def name_of(node):
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def dangers(source):
    """What is dangerous in a source, as (line, words)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        yield from ((node.lineno, f"import {name}") for name in names if name.split(".")[0] in MODULES)
        if isinstance(node, ast.Call):
            if name_of(node.func) in CALLS:
                yield node.lineno, name_of(node.func)
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in KEYWORDS:
                    yield node.lineno, f"{keyword.arg}={keyword.value.value}"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_source_can_run_what_it_reads(file):
    assert list(dangers(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import xml.etree.ElementTree as tree",
        "x = eval(text)",
        "import os\nos.system(text)",
        "np.load(file, allow_pickle=True)",
        "subprocess.run(text, shell=True)",
        "model = load(name, trust_remote_code=True)",
    ],
)
def test_what_is_dangerous_is_found(source):
    assert list(dangers(source))


def test_faust_is_given_and_gives_raw_bytes_alone():
    text = (ROOT / "streams" / "faust_app.py").read_text(encoding="utf-8")
    assert 'key_serializer="raw"' in text
    assert 'value_serializer="raw"' in text
    assert not any('serializer="pickle"' in file.read_text(encoding="utf-8") for file in SOURCES)


SAFE_YAML = {"yaml.safe_load", "yaml.safe_load_all", "yaml.safe_dump", "yaml.dump"}


def test_yaml_is_read_by_the_safe_loader_alone():
    for file in [*SOURCES, *(ROOT / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = name_of(node.func) if isinstance(node, ast.Call) else ""
            assert not name.startswith("yaml.") or name in SAFE_YAML or "Dumper" in name, f"{file}: {name}"


def test_no_running_part_reads_yaml_at_all():
    texts = {file: file.read_text(encoding="utf-8") for file in SOURCES if "grafana" not in file.parts}
    assert not [file for file, text in texts.items() if "import yaml" in text]
