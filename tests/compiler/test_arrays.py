"""What a compiled function may do with arrays, in all of NumPy's ways of saying it."""

import copy
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tinygrad_edu as tg
from tinygrad_edu.compiler.program import Variable
from tinygrad_edu.support import tree

STYLES = ["fast", "readable"]
each_style = pytest.mark.parametrize("style", STYLES)


def in_place(x, change):
    """Change a copy."""
    x = x + 0
    change(x)
    return x * 2


FUNCTIONS = {
    "methods": lambda x: (x.flatten(), x.ravel(), x.swapaxes(0, 1), x.clip(0, 1)),
    "transposes": lambda x: (x.transpose(), x.transpose(1, 0), x.transpose((0, 1))),
    "reductions": lambda x: (x.sum(0), x.sum(1, keepdims=True), x.max(), x.mean(1)),
    "accumulated": lambda x: (np.maximum.accumulate(x), np.add.outer(x[0], x[1])),
    "reduced": lambda x: (np.add.reduce(x), np.multiply.reduce(x, 1)),
    "copies": lambda x: (x.copy(), np.copy(x) * 2, np.positive(x)),
    "an element": lambda x: in_place(x, lambda y: y.__setitem__((0, 1), 7.0)),
    "a row": lambda x: in_place(x, lambda y: y.__setitem__(0, y[1])),
    "all of it": lambda x: in_place(x, lambda y: y.__setitem__(Ellipsis, 3)),
    "a row for all": lambda x: in_place(x, lambda y: y.__setitem__(Ellipsis, x[0])),
    "copyto": lambda x: in_place(x, lambda y: np.copyto(y, x[:1])),
    "out": lambda x: in_place(x, lambda y: np.multiply(y, 2, out=y)),
    "sum into": lambda x: in_place(x, lambda y: np.sum(x, 0, out=y[0] * 0)),
    "integers": lambda x: (x.astype(int), (x > 0).sum(), x.argmax(1)),
    "in place of another dtype": lambda x: in_place(
        x.astype(np.float32), lambda y: y.__setitem__(..., x)
    ),
    "numbers of NumPy's": lambda x: np.float32(2) * x + np.int64(1),
    "a constant condition": lambda x: np.where(True, x, -x),
    "linear algebra": lambda x: np.linalg.slogdet(x @ x.T + np.eye(len(x))),
    "lists": lambda x: (np.add(x, [1.0, 2.0, 3.0]), [0.5] * x),
    "copies by Python": lambda x: (copy.copy(x) + 1, copy.deepcopy(x)),
    "divided integers": lambda x: ((x * 10).astype(int) / 3.0) * 2.0,
    "pieces": lambda x: np.array_split(x, 2),
    "rounded": lambda x: divmod(x, 0.5) if False else (x // 0.5, x % 0.5),
    "bits": lambda x: ((x > 0) & (x < 1)) | ((x > 0) ^ (x > 1)) | ~(x > 2),
    "shapes": lambda x: x * len(x) + x.size + x.ndim + np.ndim(x) + x.nbytes,
    "rows one by one": lambda x: sum(row * i for i, row in enumerate(x)),
    "made in the function": lambda x: x + np.arange(3.0) + np.zeros((3, 3))[0],
    "products": lambda x: (x @ x.T, x[0] @ x[1], np.matmul(x[None], x.T[None])),
}


@each_style
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_numpys(name, style):
    rng = np.random.default_rng(0)
    f = FUNCTIONS[name]
    compiled = tg.compile(f, style=style)
    for _ in range(2):
        x = rng.standard_normal((2, 3))
        before = x.copy()
        expected, got = f(x), compiled(x)
        if not isinstance(expected, tuple | list):
            expected, got = (expected,), (got,)
        for a, b in zip(got, expected, strict=True):
            assert_allclose(a, b, rtol=1e-12, atol=1e-300)
            assert np.asarray(a).dtype == np.asarray(b).dtype
        assert_array_equal(x, before)


@each_style
def test_a_parameter_is_written_to_in_part(style):
    w = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="w")
    memory = w.data

    @tg.compile(style=style)
    def f(x):
        w.data[0] = x
        w.data *= 2
        return w.data.sum()

    assert f(np.array([5.0, 6.0])) == 36
    assert_array_equal(memory, [[10, 12], [6, 8]])
    assert w.data is memory


@each_style
def test_a_parameter_is_set_to_a_constant(style):
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    @tg.compile(style=style)
    def reset(x):
        w.data = np.zeros(2)
        return x + w

    assert_array_equal(reset(np.ones(2)).data, [1, 1])
    w.data[...] = 5
    assert_array_equal(reset(np.ones(2)).data, [1, 1])
    assert_array_equal(w.data, [0, 0])


def test_a_parameter_cannot_become_of_another_shape():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")

    @tg.compile
    def grow(x):
        w.data = x
        return x

    message = r"replaces w, float64 \(2,\), by float64 \(3,\)"
    with pytest.raises(TypeError, match=message):
        grow(np.ones(3))
    assert_array_equal(w.data, [1, 2])


def test_a_named_tuple_among_the_arguments_of_a_function():
    """As in what `np.linalg.eigh` gives, which is taken apart."""
    x = np.array([[2.0, 1.0], [1.0, 2.0]])
    compiled = tg.compile(lambda x: np.linalg.eigh(x + 0).eigenvalues * 2)
    assert_allclose(compiled(x), [2, 6])


def test_comparing_a_number_that_may_change_is_refused():
    optimiser = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], 0.1)

    @tg.compile
    def f(x):
        return x * 2 if optimiser.lr > 0.5 else x

    with pytest.raises(TypeError, match="compile: the function branches on a number"):
        f(np.ones(2))


def test_how_often_something_is_repeated_has_to_be_known():
    f = tg.compile(lambda x, n: np.repeat(x, n))
    with pytest.raises(TypeError, match=r"the shape of repeat\(\) depends on values"):
        f(np.ones(2), np.array([1, 2]))
    twice = tg.compile(lambda x: np.repeat(x, 2))
    assert_array_equal(twice(np.array([1.0, 2.0])), [1, 1, 2, 2])


def test_the_length_of_a_number_is_no_length():
    with pytest.raises(TypeError, match=r"len\(\) of unsized object"):
        tg.compile(lambda x: len(x.sum()))(np.ones(2))


def test_nothing_is_shown_before_the_first_call():
    compiled = tg.compile(lambda x: x)
    with pytest.raises(ValueError, match="nothing has been recorded yet; call the"):
        _ = compiled.source
    with pytest.raises(ValueError, match="nothing has been recorded yet"):
        compiled.report()


def test_a_compiled_function_is_shown_with_its_latest_program():
    def shown(compiled):
        html = ElementTree.fromstring(compiled._repr_html_())
        assert html.findtext("summary") == repr(compiled)
        return repr(compiled), html.findtext("pre")

    @tg.compile(style="readable")
    def both(x):
        return 2 * x < np.exp(x)

    assert shown(both) == ("compiled both: numpy, readable, programs: 0", "")
    with tg.no_grad():
        both(np.ones(2))
    (_, program) = shown(both)
    assert "2 * x < np.exp(x)" in program, "which is escaped"
    both(np.ones(3))
    assert shown(both) == (
        "compiled both: numpy, readable, programs: 2",
        both.source,
    )


def test_what_is_compiled_may_be_nameless_and_its_program_long():
    def chain(x, n):
        for _ in range(n):
            x = np.sin(x)
        return x

    compiled = tg.compile(partial(chain, n=2000))
    compiled(np.ones(2))
    assert repr(compiled) == "compiled partial: numpy, fast, programs: 1"
    assert len(compiled.source) > 30_000
    assert len(compiled._repr_html_()) < 21_000


def test_what_is_no_function_is_not_compiled():
    with pytest.raises(TypeError, match=r"compile: .* must be a function, .* int"):
        tg.compile(3)


def test_a_variable_tells_its_shape():
    assert repr(Variable((2, 3), np.dtype(float), "W1")) == "<float64 (2, 3) W1>"


@each_style
def test_a_number_is_computed_before_the_memory_it_reads_is_used_again(style):
    """As a weight of no dimensions that is updated, and a sum of squares kept flat."""
    w = tg.Tensor(2.0, requires_grad=True)

    @tg.compile(style=style)
    def f(x):
        norm = (x.reshape(1, -1) @ x.reshape(-1, 1)).reshape(())
        half, rest = norm / 2, (w + 1.0)
        w.data = w.data * 10
        other = (x + 1).reshape(1, -1) @ (x + 2).reshape(-1, 1)
        return np.exp(x * 0.1) * half + other, rest

    x = np.array([1.0, 2.0])
    for weight in (2.0, 20.0):
        product, rest = f(x)
        assert_allclose(product, [[np.exp(0.1) * 2.5 + 18, np.exp(0.2) * 2.5 + 18]])
        assert rest.item() == weight + 1


@each_style
def test_laying_out_anew_what_is_transposed_copies_it(style):
    """At every call: it is no view of what was there when the program was made."""
    compiled = tg.compile(lambda x: (x * 2).T.reshape(-1) * 3, style=style)
    for scale in (1, 10):
        x = scale * np.arange(6.0).reshape(2, 3)
        assert_array_equal(compiled(x), (x * 6).T.ravel())


@pytest.mark.parametrize(
    "f",
    [
        tg.grad(lambda x: x**3),
        tg.value_and_grad(lambda x: tg.exp(x) * x),
        tg.jacobian(lambda x: x**3),
        tg.hessian(lambda x: x**3),
        lambda x: tg.jvp(lambda x: x**3, x, x),
        lambda x: tg.vjp(lambda x: x**3, x)[1](x),
        lambda x: np.stack([x, 2 * x]),
        lambda x: np.stack([x, np.sin(tg.Tensor(x))]).data,
        lambda x: np.where(True, x, np.float32([1, 2])),
        lambda x: (np.reshape(x, (1, 1)), np.transpose(x), np.mean(x)),
        lambda x: (tg.Tensor(x) ** 3).data,
        lambda x: tg.logsumexp(x),
    ],
)
def test_a_number_is_taken_where_an_array_is(f):
    program = tg.compile(f)
    for x in (2.0, -0.75):
        found, expected = (tree.leaves(g(x)) for g in (program, f))
        for a, b in zip(found, expected, strict=True):
            assert_allclose(a, b, rtol=1e-15)
            assert a.dtype == b.dtype
    assert len(program._variants) == 1
