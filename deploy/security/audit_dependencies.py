"""Compare every package of the lock file with the published lists of vulnerabilities (pip-audit, in a folder apart).

Exit status 0 where nothing is known against them, 1 where something is, 0 with one line where the lists cannot be
reached: a machine without a network must still be able to run the checks.
"""

import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import venv
from pathlib import Path

PIP_AUDIT = "pip-audit==2.10.1"
LISTS = "https://api.osv.dev/"
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"


def unreachable() -> str | None:
    """Why the lists cannot be read; None when they can."""
    try:
        urllib.request.urlopen(LISTS, timeout=10.0).close()
    except urllib.error.HTTPError:
        return None  # it answers, though not on this page
    except OSError as error:
        return str(error)
    return None


def main() -> int:
    """Run it."""
    if reason := unreachable():
        print(f"Dependency audit skipped: {LISTS} cannot be reached ({reason}).")
        return 0
    with tempfile.TemporaryDirectory(prefix="emberwatch-audit-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        installed = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIP_AUDIT], check=False
        )
        if installed.returncode:
            print(f"Dependency audit skipped: {PIP_AUDIT} cannot be installed.")
            return 0
        command = [python, "-m", "pip_audit", "--vulnerability-service", "osv", "--disable-pip", "--require-hashes"]
        return subprocess.run([*command, "--requirement", str(LOCK)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
