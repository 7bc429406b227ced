"""What is promised holds under every fault, in its short form, on Apache Kafka."""

import faults
import pytest
from run import Bench

from streams import apache_kafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    with apache_kafka.one_node() as node:
        yield Bench(node, tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("fault", faults.ALL, ids=lambda fault: fault.__name__)
def test_nothing_is_lost_or_counted_twice_and_the_alerts_are_the_same_under(fault, bench):
    row = fault(bench, long=False)
    assert row.holds(), (row, bench.complaints)
