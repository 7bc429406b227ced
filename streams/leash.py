"""Child processes on a leash: they end when we end, however we end.

A broker that outlives the run that started it holds a port, and memory, for nobody. So between us and the child
stands a small process that holds one end of a pipe: when the other end is closed, by `Child.stop` or by our death,
it ends the child. The child has a session of its own, so that Ctrl-C reaches us first and things end in order.

This file is also that small process: `python leash.py COMMAND...` (it imports only the standard library).
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

GRACE_S = 15.0
"""How long a child may take to end by itself before it is killed."""


class Child:
    """A process that ends when this one does."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start `command`, its output going to the file `log`."""
        self.log = log
        with log.open("wb") as output:
            self._leash = subprocess.Popen(  # noqa: S603
                [sys.executable, "-S", __file__, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def exit_status(self) -> int | None:
        """What it ended with, or None while it runs."""
        return self._leash.poll()

    def send(self, number: signal.Signals) -> None:
        """Send the process itself a signal (on Linux), as a test does that freezes or kills it."""
        leash = self._leash.pid
        for process_id in Path(f"/proc/{leash}/task/{leash}/children").read_text(encoding="ascii").split():
            os.kill(int(process_id), number)

    def stop(self) -> None:
        """End it and wait until it has ended."""
        if self._leash.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._leash.stdin.close()
        try:
            self._leash.wait(GRACE_S + 5.0)
        except subprocess.TimeoutExpired:
            self._leash.kill()
            self._leash.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its output, for an error."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())


def _hold(command: Sequence[str]) -> int:
    """Run `command` until it ends or standard input is closed; returns its exit status."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603

    def end(_signal: int, _frame: FrameType | None) -> None:
        child.terminate()

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_end_when_let_go, args=(child,), daemon=True).start()
    return child.wait()


def _end_when_let_go(child: subprocess.Popen[bytes]) -> None:
    # Not `sys.stdin`: its lock, held by a thread that still reads, crashes an interpreter that ends.
    while os.read(0, 1024):
        pass
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(_hold(sys.argv[1:]))
