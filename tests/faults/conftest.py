"""The faults find each other by their folder, as in `make faults`; each file of tests has a broker of its own."""

import sys
from pathlib import Path

import pytest

from streams import apache_kafka

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """Makes a bench for each fault, all on one broker."""
    from run import Bench

    if reason := apache_kafka.missing():
        pytest.skip(reason)
    with apache_kafka.one_node() as node:
        yield lambda fault: Bench(node, tmp_path_factory.mktemp(fault.__name__))
