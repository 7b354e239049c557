"""Speed of this machine, now, beside that of the machine on which costs were measured."""

import time

import numpy as np

REFERENCE_SECONDS = 0.0036
"""CPU seconds of one trial on the machine on which costs were measured.

On another machine a trial took 0.0078 s, and four runs 2.2 to 2.4 times their costs."""
TRIALS = 7
N_VALUES = 2**18


def measure_speed() -> float:
    """Return how fast a core is, 1 for one of the machine on which costs were measured.

    A trial does what a search does: it reads numbers from all over the memory, adds them up, and sorts.  The
    median counts, as a core that others use is as slow for the run as for the trials.
    """
    chance = np.random.default_rng(0)
    far = chance.random(2**22)
    places = chance.integers(0, len(far), N_VALUES)
    lists = chance.integers(0, 2**16, N_VALUES)
    seconds = []
    for _ in range(TRIALS):
        began = time.thread_time()
        np.sort(np.bincount(lists, far.take(places)))
        np.sort(places)
        seconds.append(time.thread_time() - began)
    return REFERENCE_SECONDS / float(np.median(seconds))
