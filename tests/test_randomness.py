"""Generators of random numbers: made of a seed, read and set."""

import random

import numpy as np
import pytest

from tinygrad_edu.randomness import generator, is_generator, set_state, state_of

MAKERS = {
    "Generator": np.random.default_rng,
    "another Generator": lambda seed: np.random.Generator(np.random.MT19937(seed)),
    "RandomState": np.random.RandomState,
    "Random": random.Random,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_a_generator_goes_on_from_a_state(make):
    one, other = make(0), make(1)
    assert is_generator(one)
    one.random()
    state = state_of(one)
    wanted = [one.random() for _ in range(700)]  # more than the state's own numbers
    for rng in (one, other):
        set_state(rng, state)
        assert [rng.random() for _ in range(700)] == wanted


def test_a_generator_is_made_of_a_seed_or_is_there_already():
    rng, legacy = np.random.default_rng(0), np.random.RandomState(0)
    assert generator(rng) is rng
    assert generator(legacy) is legacy
    assert generator(7).random() == np.random.default_rng(7).random()
    assert generator(None).random() != generator(None).random()


@pytest.mark.parametrize("x", [np.random, random, 7, np.random.PCG64(0), None])
def test_what_is_no_generator(x):
    assert not is_generator(x)
