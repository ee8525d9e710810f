"""Time programs in turn, side by side.

A busy second would decide who wins, if one program were timed after the other. Here all
programs of all cases take turns every few milliseconds, and each round gives one ratio
of neighbours: what slows a round slows both. What is told of the rounds is the median
and the middle half.
"""

import gc
import time

import numpy as np

ROUNDS = 100
ROUND_SECONDS = 0.004


def time_in_turn(cases, rounds=ROUNDS):
    """Return microseconds a step, and which share of the time the processor was away.

    Of each case the times by program, as an array with one entry a round. No program
    always follows the same one: which begins changes from round to round.
    """
    repeats = {
        case: {name: steps_per_round(step) for name, step in steps.items()}
        for case, steps in cases.items()
    }
    times = {case: {name: [] for name in steps} for case, steps in cases.items()}
    gc.collect()
    gc.freeze()  # the collector need not walk what the imports left behind
    wall, used = time.perf_counter(), time.process_time()
    for i in range(rounds):
        for case, steps in cases.items():
            names = list(steps)
            first = i % len(names)
            for name in names[first:] + names[:first]:
                steps[name]()  # not counted: refills the caches the last one emptied
                seconds = time_steps(steps[name], repeats[case][name])
                times[case][name].append(1e6 * seconds / repeats[case][name])
    wall, used = time.perf_counter() - wall, time.process_time() - used
    gc.unfreeze()
    arrays = {
        case: {name: np.array(rounds) for name, rounds in of.items()}
        for case, of in times.items()
    }
    return arrays, max(0.0, 1 - used / wall)


def steps_per_round(step):
    """Count the steps in a turn, by the fastest try.

    A disturbed one would tell too few, and whoever has short turns is disturbed less
    often than the others.
    """
    time_steps(step, 3)
    fastest = min(time_steps(step, 1) for _ in range(20))
    return max(1, round(ROUND_SECONDS / fastest))


def time_steps(step, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return time.perf_counter() - start


def spread(rounds):
    """Return the lower quartile, the median and the upper quartile, to three digits."""
    return [float(f"{q:.3g}") for q in np.quantile(rounds, [0.25, 0.5, 0.75])]


def beside(base, times):
    """Return what is told of a case: the time of one program, and the others' ratios.

    Only one time, and so no other figure can contradict the ratios.
    """
    return {
        "microseconds": spread(times[base]),
        "times as long": {
            name: spread(of / times[base]) for name, of in times.items() if name != base
        },
    }
