"""The faults find each other by their folder, as `make faults` lets them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
