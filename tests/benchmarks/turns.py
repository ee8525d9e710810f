"""Time programs in turn, side by side.

pytest-benchmark times one program after the other, so on a shared machine a busy second
decides who wins. Here the programs take turns every few milliseconds, and each round
gives one ratio of neighbours: what slows a round slows both.
"""

import gc
import time

import numpy as np

ROUNDS = 50
ROUND_SECONDS = 0.004


def time_in_turn(steps):
    """Microseconds a step, for each program an array with one entry a round."""
    repeats = {name: steps_per_round(step) for name, step in steps.items()}
    times = {name: [] for name in steps}
    gc.collect()
    gc.freeze()  # the collector need not walk what the imports left behind
    for _ in range(ROUNDS):
        for name, step in steps.items():
            step()  # not counted: refills the caches the last program emptied
            seconds = time_steps(step, repeats[name])
            times[name].append(1e6 * seconds / repeats[name])
    gc.unfreeze()
    return {name: np.array(rounds) for name, rounds in times.items()}


def steps_per_round(step):
    time_steps(step, 3)
    return max(1, round(ROUND_SECONDS / (time_steps(step, 3) / 3)))


def time_steps(step, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return time.perf_counter() - start
