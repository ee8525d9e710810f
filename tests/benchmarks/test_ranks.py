"""What a second process brings, side by side with one: throughput, time in Allreduce.

    pytest tests/benchmarks/test_ranks.py

The limit is printed as ok or under; only the losses, which must agree, are asserted.
`docs/many-processes.md` shows such figures, of this command:

    mpiexec -n 2 python tests/benchmarks/scaling_job.py > docs/many-processes.json
"""

import json
import os
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
    figures = json.loads(done.stdout)
    report += [
        "",
        f"{figures['sizes']}, batch {figures['batch']}, one BLAS thread a rank",
        f"{'ranks':>6} {'examples/s':>11} {'speed-up':>9} {'in Allreduce':>13}",
    ]
    for row in figures["table"]:
        report.append(
            f"{row['ranks']:>6} {row['examples_per_second']:>11,.0f} "
            f"{row['speed_up']:>9.2f} {row['share_of_allreduce']:>13.1%}"
        )
    speed_up = figures["table"][-1]["speed_up"]
    mark = "ok" if speed_up >= AT_LEAST else "under"
    report.append(f"speed-up {speed_up:.2f} >= {AT_LEAST}  {mark}")
