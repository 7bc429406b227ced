"""In a worker that a test starts with this folder on its path, embedding can be made to kill it, or to take long."""

import os
import signal
import time
from pathlib import Path

from detectors.embedding import HashEncoder

_encode = HashEncoder.encode
_deadly = os.environ.get("FAULT_DEADLY")
_slow = os.environ.get("FAULT_SLOW")


def _faulty(self, texts):
    if _deadly is not None and any(_deadly in text for text in texts):
        os.kill(os.getpid(), signal.SIGKILL)
    if _slow is not None and Path(_slow).exists():
        time.sleep(10.0)
    return _encode(self, texts)


HashEncoder.encode = _faulty
