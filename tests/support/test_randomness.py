"""Generators of random numbers: made of a seed, read and set."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.support.randomness import generator, is_generator, set_state, state_of

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


@pytest.mark.parametrize("rng", [random.Random(0), 0.5, "seed"])
def test_what_makes_no_generator(rng):
    with pytest.raises(TypeError, match=f"or a seed .* not {rng!r}"):
        generator(rng)


def shuffled_by(rng):
    """Return the rows that each place of the package takes, in its order."""
    x, taken = np.arange(20.0)[:, None], []
    w = tg.Tensor(1.0, requires_grad=True)

    def loss(outputs, x):
        taken.append(x)
        return (x * w).sum()

    parallel = tg.parallel.DataParallel([w], alone)
    yield np.concatenate([x for x, _ in tg.data.minibatches(x, x, 3, rng())])
    yield np.concatenate([x for x, _ in parallel.minibatches(x, x, 3, rng())])
    yield tg.compile(lambda x, y: (x * w).sum()).epoch(x, x, 1, rng())[:, None]
    how = {"compile": False, "progress": False, "rng": rng(), "batch_size": 3}
    tg.train.fit(np.array, loss, tg.optim.SGD([w], lr=0.0), (x, x), 1, **how)
    yield np.concatenate(taken)


alone = SimpleNamespace(rank=0, size=1, bcast=lambda x: x, allgather=lambda x: [x])
alone.Dup = lambda: alone
alone.Iallreduce = lambda sent, array: SimpleNamespace(Test=lambda: True)


@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_does_wherever_a_generator_does(seed):
    of_seed = list(shuffled_by(lambda: seed))
    of_generator = shuffled_by(lambda: np.random.default_rng(seed))
    wanted = np.random.default_rng(seed).permutation(np.arange(20.0))[:, None]
    for place, other in zip(of_seed, of_generator, strict=True):
        np.testing.assert_array_equal(place, wanted)
        np.testing.assert_array_equal(other, wanted)
    legacy = np.random.RandomState(seed).permutation(np.arange(20.0))[:, None]
    for place in shuffled_by(lambda: np.random.RandomState(seed)):
        np.testing.assert_array_equal(place, legacy)


@pytest.mark.parametrize("x", [np.random, random, 7, np.random.PCG64(0), None])
def test_what_is_no_generator(x):
    assert not is_generator(x)
