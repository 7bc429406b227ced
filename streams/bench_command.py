"""`emberwatch bench NAME`: runs a benchmark of the checkout, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from streams.errors import EmberwatchError
from streams.settings import Settings

BENCHMARKS = Path(__file__).resolve().parents[1] / "tests" / "benchmarks"


def names() -> list[str]:
    """Benchmarks that there are, as they are called."""
    return sorted(
        file.stem.replace("_", "-")
        for file in BENCHMARKS.glob("*.py")
        if not file.stem.startswith("_") and file.stem != "conftest"
    )


def run(settings: Settings, *, name: str, data: Path, json_file: Path | None) -> int:
    """Run a benchmark with the settings of this process; returns its exit status."""
    if not BENCHMARKS.is_dir():
        raise EmberwatchError("benchmarks are run from a checkout of the project (they are in tests/benchmarks)")
    file = BENCHMARKS / f"{name.replace('-', '_')}.py"
    if name not in names():
        raise EmberwatchError(f"there is no benchmark {name}; there are {', '.join(names()) or 'none yet'}")
    command = [sys.executable, str(file), "--data", str(data)]
    if json_file:
        command += ["--json", str(json_file)]
    return subprocess.run(command, check=False, env=os.environ | settings.environment()).returncode  # noqa: S603
