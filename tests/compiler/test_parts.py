"""Small parts of the compiler, each on its own."""

import threading
import warnings
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu.compiler.functions import spread
from tinygrad_edu.compiler.namespace import Definition, helper_source
from tinygrad_edu.compiler.passes.tuning import spread_out
from tinygrad_edu.compiler.program import Equation, Program, Variable, change
from tinygrad_edu.compiler.recording.refusals import is_library
from tinygrad_edu.engine.op import OPS, as_array
from tinygrad_edu.ops.reductions import _count

FLOAT = np.dtype(float)


# --- Functions that a program needs ---------------------------------------------------


def test_a_helpers_source_stands_alone():
    """With what it uses: modules, classes of this package's, other functions."""
    for function, args in [(_count, ([[1, 2]], None)), (as_array, ([1.0, 2.0],))]:
        known = {}
        helper_source(function, known)
        names = {"np": np}
        source = "\n".join(definition.source for definition in known.values())
        exec(source, names)
        assert_array_equal(names[function.__name__](*args), function(*args))
        assert "tinygrad_edu" not in source


hidden = np.ones(3)  # as a notebook's variables are


def hides(x):
    hidden = np.square(x)
    return np.stack([-hidden for hidden in hidden])


def test_a_helpers_own_names_are_not_those_around_it():
    known = {}
    assert helper_source(hides, known) == {"np"}
    assert list(known) == ["hides"]
    names = {"np": np}
    exec(known["hides"].source, names)
    assert_array_equal(names["hides"]([2.0, 3.0]), [-4, -9])


def test_a_helpers_annotations_are_left_out():
    known = {}
    helper_source(OPS["concatenate"].forward, known)
    source = known["concatenate"].source
    assert source.startswith("def concatenate(*arrays, axis=0):")


def test_what_is_no_plain_function_has_no_source():
    kept = np.ones(2)

    def closed(x):
        return x + kept

    for function in (OPS["exp"].rules["x"], closed, eval("lambda x: x")):
        with pytest.raises(ValueError, match="is no plain function in a file"):
            helper_source(function, {})


def calls_a_namesake(x):
    return as_array(x)


def test_a_helpers_name_means_one_thing():
    known = {}
    helper_source(calls_a_namesake, known)
    assert list(known)[-1] == "calls_a_namesake"
    other = {"as_array": Definition(hides, "")}
    with pytest.raises(ValueError, match="as_array means two things"):
        helper_source(calls_a_namesake, other)


# --- Programs -------------------------------------------------------------------------


class Pair(NamedTuple):
    first: object
    second: object


def test_named_tuples_are_changed_inside():
    assert change(Pair(1, [2, 3]), lambda x: 10 * x) == Pair(10, [20, 30])


def test_rows_spread_out_are_the_same_sum():
    x, b, y = Variable((2, 3), FLOAT), Variable((3,), FLOAT), Variable((2, 3), FLOAT)
    program = Program((x, b), (Equation(y, np.add, (x, b)),), (y,), {})
    longer = spread_out(program)
    assert [e.function for e in longer.equations] == [spread, np.add]
    values = np.arange(6.0).reshape(2, 3), np.array([10.0, 20.0, 30.0])
    assert_array_equal(longer.evaluate(*values)[0], program.evaluate(*values)[0])


# --- Where the user's code is ---------------------------------------------------------


def test_which_modules_are_the_users():
    assert is_library("numpy.linalg")
    assert is_library("threading")
    assert is_library("pytest")
    assert is_library(object())
    assert not is_library(None)
    assert not is_library("my_own_module")


def test_an_array_of_the_functions_own_is_not_written_to():
    def f(x):
        total = np.zeros(3)
        total += x
        return total

    line = f.__code__.co_firstlineno + 2
    message = rf"into an array of NumPy's own, at .*test_parts\.py:{line},"
    with pytest.raises(TypeError, match=message):
        tg.compile(f)(np.ones(3))


# --- What a function leads to ---------------------------------------------------------


def test_tensors_and_traced_arrays_meet_in_numpys_functions():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    compiled = tg.compile(lambda x: (np.add(x, w), np.concatenate([x, w])))
    total, both = compiled(np.array([3.0, 4.0]))
    assert_array_equal(total.data, [4, 6])
    assert_array_equal(both.data, [3, 4, 1, 2])


def test_a_number_that_a_program_has_to_compute():
    optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], 0.5)

    @tg.compile
    def f(x):
        optimiser.lr = -optimiser.lr * 2
        return x * optimiser.lr

    assert_array_equal(f(np.ones(2)), [-1, -1])
    assert optimiser.lr == -1.0
    assert_array_equal(f(np.ones(2)), [2, 2])


class Slotted:
    __slots__ = ("__dict__", "scale", "unset")

    def __init__(self, scale):
        self.scale = scale


def test_all_kinds_of_things_are_looked_into():
    slotted, masks = Slotted(2.0), (np.array([True, False]), np.zeros(2))
    table = {i: float(i) for i in range(1500)}
    numbers = tuple(range(1500))
    several = (iter([1]), SimpleNamespace(power=2))

    def f(x):
        assert several[1].power == 2
        y = np.where(masks[0], x, masks[1]) * slotted.scale + table[3] + numbers[1400]
        return y if len(numbers) else later

    compiled = tg.compile(f)
    assert_array_equal(compiled(np.ones(2)), f_by_hand := [1405, 1403])
    slotted.scale = 3.0
    assert_array_equal(compiled(np.ones(2)), [1406, 1403])
    table[3] = 4.0
    assert_array_equal(compiled(np.ones(2)), [1407, 1404])
    masks[0][:] = False
    assert_array_equal(compiled(np.ones(2)), [1404, 1404])
    later = f_by_hand  # a closure's cell that was empty until now
    assert later


def test_a_warning_of_the_functions_own_is_given_while_recording():
    """And a closure's cell that is empty until then is not looked into."""

    def f(x):
        warnings.warn("careful", UserWarning, stacklevel=1)
        return x if x.size else later

    compiled = tg.compile(f)
    with pytest.warns(UserWarning, match="careful"):
        assert_array_equal(compiled(np.ones(2)), np.ones(2))
    assert_array_equal(compiled(np.zeros(2)), np.zeros(2))
    later = 1
    assert later


def test_a_long_update_is_split_into_lines():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="a_rather_long_name")
    x = np.array([1.0, 2.0])

    @tg.compile(style="readable")
    def f(first_argument, second_argument):
        u, v = first_argument, second_argument
        w.data -= (np.sin(u) * np.cos(v) + np.exp(u) * np.tanh(v)) * (
            np.sinh(u + v) - np.cosh(u - v) * np.arctan(u) / (np.sqrt(v) + u * v)
        )
        return u

    expected = w.data - (np.sin(x) * np.cos(x) + np.exp(x) * np.tanh(x)) * (
        np.sinh(x + x) - np.cosh(x - x) * np.arctan(x) / (np.sqrt(x) + x * x)
    )
    f(x, x)
    np.testing.assert_allclose(w.data, expected, rtol=1e-12)
    assert max(map(len, f.source.splitlines())) <= 88


def test_a_long_name_leaves_less_of_a_line():
    name = "the_weight_of_the_only_layer_in_a_network_of_ones_own"
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name=name)

    @tg.compile(style="readable")
    def f(x, y):
        w.data -= np.sin(x * y + 1) * np.cos(x - y * 2)

    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    f(x, y)
    changed = np.sin(x * y + 1) * np.cos(x - y * 2)
    np.testing.assert_allclose(w.data, np.array([1.0, 2.0]) - changed, rtol=1e-12)
    assert f"    {name} -= " in f.source
    assert max(map(len, f.source.splitlines())) <= 88


@pytest.mark.parametrize("n", [1, 2, 30])
def test_many_answers_are_broken_into_lines(n):
    names = [f"a_name_of_some_length_{i}" for i in range(n)]
    ws = [tg.Tensor([i + 1.0, 2.0], name=name) for i, name in enumerate(names)]
    f = tg.compile(lambda x: [np.sin(w * x).sum() for w in ws], style="readable")
    x = np.array([0.3, -0.7])
    expected = [np.sin(w.data * x).sum() for w in ws]
    for _ in range(2):
        np.testing.assert_allclose([y.data for y in f(x)], expected, rtol=1e-15)
    assert max(map(len, f.source.splitlines())) <= 88


def test_calls_wait_for_each_other():
    """Another thread that runs the program meanwhile has to wait its turn."""
    compiled = tg.compile(lambda x: x + 1)
    compiled(np.ones(2))
    done = threading.Event()

    def call():
        compiled(np.ones(2))
        done.set()

    with compiled._lock:
        thread = threading.Thread(target=call)
        thread.start()
        assert not done.wait(0.2)
    assert done.wait(10)
    thread.join()


RUNS = {
    "functions": (np.sin, np.cos),
    "kinds": (lambda x: x * 1, lambda x: x * 1.0),
    "numbers": (lambda x: x * 2.0, lambda x: x * 3.0),
    "keywords": (lambda x: np.sum(x, axis=0), lambda x: np.sum(x, keepdims=True)),
    "lengths": (lambda x: np.stack([x]), lambda x: np.stack([x, x])),
    "shapes": (lambda x: np.reshape(x, (1, 4)), lambda x: np.reshape(x, (2, 2))),
    "slices": (lambda x: x[:2], lambda x: x[2:]),
    "constants": (lambda x: x + np.zeros(4), lambda x: x + np.ones(4)),
    "dtypes": (lambda x: x + np.zeros(4), lambda x: x + np.zeros(4, int)),
    "order": (lambda x: x - x * 2, lambda x: x * 2 - x),
    "one more": (lambda x: x, lambda x: x * 2),
}


@pytest.mark.parametrize("name", RUNS)
def test_what_differs_between_two_runs_is_noticed(name):
    """Whichever of the two comes first; the same twice is no difference."""
    first, second = RUNS[name]
    for runs in ([first, second], [second, first]):
        which = iter(runs).__next__
        with pytest.raises(TypeError, match="run twice, the function did not do the s"):
            tg.compile(lambda x, which=which: which()(x))(np.ones(4))
    x = np.arange(4.0)
    for f in (first, second):
        assert_array_equal(tg.compile(f)(x), f(x))
