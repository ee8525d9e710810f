"""The states of random generators come back exactly, or not at all."""

import json
import random
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.support.randomness import set_state, state_of
from tinygrad_edu.train.checkpoints.random_states import from_plain, to_plain

KINDS = {
    "PCG64": lambda seed: np.random.Generator(np.random.PCG64(seed)),
    "PCG64DXSM": lambda seed: np.random.Generator(np.random.PCG64DXSM(seed)),
    "MT19937": lambda seed: np.random.Generator(np.random.MT19937(seed)),
    "Philox": lambda seed: np.random.Generator(np.random.Philox(seed)),
    "SFC64": lambda seed: np.random.Generator(np.random.SFC64(seed)),
    "RandomState": np.random.RandomState,
    "Python": random.Random,
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def draws(generator):
    """Draw numbers of all widths; half a word may be left over."""
    if isinstance(generator, random.Random):
        return [generator.gauss(0, 1), generator.random(), generator.getrandbits(99)]
    if isinstance(generator, np.random.RandomState):
        return [generator.randn(), generator.randint(9), *generator.permutation(5)]
    few = generator.random(3, np.float32), generator.integers(0, 9, 3, np.uint8)
    return [*np.concatenate(few), generator.standard_normal(), generator.random()]


@each_kind
@given(seed=st.integers(0, 2**32 - 1), before=st.integers(0, 3))
def test_a_generator_goes_on_from_json(kind, seed, before):
    generator, other = KINDS[kind](seed), KINDS[kind](0)
    for _ in range(before):
        draws(generator)
    text = json.dumps(to_plain(state_of(generator)), allow_nan=False)
    set_state(other, from_plain(json.loads(text), state_of(other)))
    for _ in range(3):
        assert draws(other) == draws(generator)


def changes(plain):
    """Give copies of plain data with one thing changed in each, and what it was."""
    if isinstance(plain, dict):
        for key, part in plain.items():
            yield {k: x for k, x in plain.items() if k != key}, key
            for changed, name in changes(part):
                yield plain | {key: changed}, name if name != "" else key
        yield plain | {"more": 0}, "more"
    elif isinstance(plain, list):
        yield plain[1:], "fewer"
        yield [*plain, 0], "more"
        for changed, name in changes(plain[0]):
            yield [changed, *plain[1:]], name
    for wrong in (None, True, -1, 2**200, 0.5, "x", [], {}, float("nan")):
        if wrong != plain or type(wrong) is not type(plain):
            yield wrong, ""


@each_kind
def test_no_other_state_is_taken(kind):
    """What passes, the generator can have: it is set, and it draws."""
    plain = json.loads(json.dumps(to_plain(state_of(KINDS[kind](3)))))
    refused = 0
    for changed, name in changes(plain):
        generator = KINDS[kind](0)
        state, fault = None, ""
        try:
            state = from_plain(changed, state_of(generator))
        except ValueError as error:
            fault = str(error)
        if fault:
            refused += "random generator" in fault
            continue
        assert kind in ("RandomState", "Python"), f"{name} of {changed}"
        with suppress(ValueError):  # Python checks the version and the index itself
            set_state(generator, state)
        draws(generator)
    assert refused >= 20


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("MT19937", {"state": {"pos": 625}}),
        ("Philox", {"buffer_pos": 5}),
        ("PCG64", {"has_uint32": 2}),
        ("PCG64", {"uinteger": 2**32}),
        ("SFC64", {"state": {"state": [2**64, 0, 0, 0]}}),
    ],
)
def test_what_would_lead_beyond_the_memory_is_refused(kind, change):
    like = state_of(KINDS[kind](0))
    plain = to_plain(like)
    for key, x in change.items():
        plain[key] = plain[key] | x if isinstance(x, dict) else x
    with pytest.raises(ValueError, match="of a random generator: expected an integer"):
        from_plain(plain, like)


def test_the_state_of_another_kind_is_named():
    plain = to_plain(state_of(KINDS["PCG64DXSM"](0)))
    with pytest.raises(ValueError, match="is a PCG64, not a 'PCG64DXSM'"):
        from_plain(plain, state_of(KINDS["PCG64"](0)))
    with pytest.raises(ValueError, match="expected bit_generator, "):
        from_plain(to_plain(state_of(KINDS["Philox"](0))), state_of(KINDS["SFC64"](0)))
