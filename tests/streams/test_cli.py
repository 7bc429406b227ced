import ast
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from detectors.records import FeedbackWord
from streams import cli

HEAVY = ("torch", "faust", "kafka", "sentence_transformers", "rich", "numpy", "aiohttp")


def commands(group, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = list(commands(cli.emberwatch))


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
def test_every_command_explains_itself(path):
    result = CliRunner().invoke(cli.emberwatch, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_option_and_command_says_what_it_does(path, command):
    assert command.help
    assert command.help.rstrip().endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            assert parameter.help, parameter.name


def test_the_commands_that_others_script_against_are_there():
    there = {" ".join(path) for path, _ in ALL}
    assert there >= {
        "replay", "why", "score", "claims match", "journal export", "publish", "alerts", "topics create",
        "topics verify", "config apply", "dead-letters list", "worker score", "worker monitor", "console", "demo",
        "bench", "train incitement", "feedback",
    }  # fmt: skip


def test_help_imports_nothing_heavy():
    code = f"import sys, streams.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_words_of_feedback_are_those_of_the_records():
    assert set(cli.FEEDBACK_WORDS + cli.OUTCOME_WORDS) == set(FeedbackWord.__args__)


def run(*arguments, **environ):
    code = "from streams.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False, timeout=60)


def test_a_wrong_setting_is_one_line_and_exit_status_2():
    done = run("settings", EMBERWATCH_SHARDS="none")
    assert done.returncode == 2
    assert done.stderr.strip() == "emberwatch: EMBERWATCH_SHARDS: Expected `int`"


def test_no_broker_is_one_line_and_exit_status_1():
    done = run("topics", "verify", EMBERWATCH_BROKER="127.0.0.1:1")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "no Kafka broker answers at 127.0.0.1:1" in done.stderr


def test_the_list_of_settings_shows_no_secret():
    done = run("settings", EMBERWATCH_HASH_SALT="hunter2", COLUMNS="200")
    assert done.returncode == 0
    assert "EMBERWATCH_HASH_SALT" in done.stdout
    assert "***" in done.stdout
    assert "hunter2" not in done.stdout


def test_a_benchmark_that_is_not_there_is_told_with_those_that_are(tmp_path):
    done = run("bench", "nope", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "benchmark" in done.stderr


def calls():
    """Module, function and named arguments of every `_run(...)` in the command line."""
    for call in ast.walk(ast.parse(Path(cli.__file__).read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "_run":
            module, *function = [ast.literal_eval(argument) for argument in call.args]
            yield module, (function or ["run"])[0], {keyword.arg for keyword in call.keywords}


@pytest.mark.parametrize(("module", "function", "named"), list(calls()), ids=[module for module, _, _ in calls()])
def test_every_command_has_a_function_that_takes_its_arguments(module, function, named):
    signature = inspect.signature(getattr(importlib.import_module(module), function))
    first, *rest = signature.parameters.values()
    assert first.name in {"settings", "_settings"}
    assert named <= {parameter.name for parameter in rest}
    assert all(parameter.default is not parameter.empty for parameter in rest if parameter.name not in named)


@pytest.mark.parametrize(("given", "threads"), [({}, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 2)])
def test_numpy_multiplies_in_one_thread_unless_the_environment_says_otherwise(given, threads, tmp_path):
    """Seen by the library itself, in a process of its own: it is asked once, when numpy is imported."""
    (tmp_path / "asked.py").write_text(
        "import numpy, threadpoolctl\n"
        "def run(settings):\n"
        "    pools = [one for one in threadpoolctl.threadpool_info() if one['internal_api'] == 'openblas']\n"
        "    print([one['num_threads'] for one in pools])\n"
    )
    own = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", "from streams import cli; cli._run('asked')"],
        env={**own, **given, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    found = ast.literal_eval(done.stdout)
    if not found:
        pytest.skip("numpy does not multiply with OpenBLAS here")
    assert set(found) == {min(threads, os.cpu_count() or 1)}
