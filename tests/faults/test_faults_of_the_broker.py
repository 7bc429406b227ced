"""What is promised holds when the broker itself suffers: one fault after the other, and no other test meanwhile.

They have a file of their own because tests of one file are shuffled: a broker that is stopped under other faults, still
running side by side, is a fault of theirs that nobody planned.
"""

import faults
import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("fault", faults.OF_THE_BROKER, ids=lambda fault: fault.__name__)
def test_nothing_is_lost_or_counted_twice_and_the_alerts_are_the_same_under(fault, benches):
    bench = benches(fault)
    row = fault(bench, long=False)
    assert row.holds(), (row, bench.complaints)
