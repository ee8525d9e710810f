"""What a second process brings, side by side with one: throughput, time in Allreduce.

    pytest tests/benchmarks/test_ranks.py

The limit is printed as ok or under; only the losses, which must agree, are asserted.
`docs/many-processes.md` has such figures.
"""

import os
from ast import literal_eval
from pathlib import Path

import pytest
from ranks import mpiexec, needs_mpi

AT_LEAST = 1.6
JOB = Path(__file__).with_name("scaling_job.py")


@needs_mpi
@pytest.mark.skipif(
    (os.cpu_count() or 1) < 2, reason="two ranks need two cores to be faster"
)
def test_two_ranks_beside_one(report):
    done = mpiexec(2, JOB)
    assert done.returncode == 0, done.stderr
    figures = literal_eval(done.stdout)
    report += [
        "",
        f"{figures['sizes']}, batch {figures['batch']}, one BLAS thread a rank",
        f"{'ranks':>6} {'examples/s':>11} {'speed-up':>9} {'in Allreduce':>13}",
    ]
    for ranks, (speed, speed_up, share) in figures["speed"].items():
        report.append(f"{ranks:>6} {speed:>11,.0f} {speed_up:>9.2f} {share:>13.1%}")
    mark = "ok" if speed_up >= AT_LEAST else "under"
    report.append(f"speed-up {speed_up:.2f} >= {AT_LEAST}  {mark}")
