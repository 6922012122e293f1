"""A short run of the faults that `make faults-long` lets happen for ten minutes with each of ten seeds."""

from long_run import run


def test_faults_at_random_moments_change_no_verdict_and_count_no_transaction_twice() -> None:
    assert run(0, 8) == []
