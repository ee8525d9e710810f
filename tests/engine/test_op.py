"""An op: its declaration, its calls, its errors, its place in the table."""

import copy
import importlib
import inspect
import pickle
import subprocess
import sys
from functools import wraps

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.op import OPS, REAL, Composite, Domain, Op, composite


@pytest.fixture
def scaled():
    @tg.op
    def scaled(x, y, *, factor, shift=0.0):
        """A product, scaled and shifted."""
        return x * y * factor + shift

    return scaled.vjp(
        y=lambda g, out, x, y, factor, shift: g * x * factor,
        x=lambda g, out, x, y, factor, shift: g * y * factor,
    )


# --- Declaration ----------------------------------------------------------------------


def test_a_declaration_is_read_from_the_signature(scaled):
    assert isinstance(scaled, Op)
    assert scaled.name == scaled.__name__ == "scaled"
    assert scaled.inputs == ("x", "y")
    assert list(scaled.defaults) == ["factor", "shift"]
    assert scaled.__doc__.startswith(f"{scaled}: A product, scaled and shifted.")
    assert not scaled.variadic


def test_what_is_not_declared_has_a_plain_default(scaled):
    assert (scaled.tex, scaled.signature, scaled.kink) == (None, None, None)
    assert (scaled.subgradient, scaled.selects) == (None, False)
    assert scaled.domain == {"x": REAL, "y": REAL}
    assert not scaled.elementwise


def test_a_declaration_keeps_what_it_is_given():
    positive = Domain(low=0.0)
    op = Op(
        lambda a, b: a**b,
        name="raised",
        tex="{a}^{b}",
        signature="(),()->()",
        domain={"a": positive},
        kink=lambda a, b: a,
        subgradient="0",
        selects=True,
        doc="a to the power of b.",
    )
    assert (op.name, op.tex, op.subgradient, op.selects) == (
        "raised",
        "{a}^{b}",
        "0",
        True,
    )
    assert op.domain == {"a": positive, "b": REAL}
    assert op.kink(1, 2) == 1
    assert op.elementwise
    assert op.__doc__.startswith(f"{op}: a to the power of b.")


@pytest.mark.parametrize(
    ("tex", "complaint"),
    [
        ("{z}", r"contains \{z\}, but the inputs and parameters are x, axis;"),
        ("{x} + {}", r"contains \{\}, "),
        (r"\frac{1}{x}", r"contains \{1\}, "),
        ("{x.T}", r"contains \{x.T\}, "),
        ("{x:d}", r"contains \{x:d\}, "),
        ("{x!r}", r"contains \{x!r\}, "),
        ("{x} {", "do not match"),
        ("{x}}", "do not match"),
    ],
)
def test_a_formula_has_places_for_inputs_and_parameters_only(tex, complaint):
    def odd(x, *, axis=None):
        return x

    with pytest.raises(ValueError, match=rf"^odd: .*{complaint}.* LaTeX: {{{{ and"):
        tg.op(odd, tex=tex)
    assert "odd" not in OPS
    assert tg.op(odd, tex=r"\sum_{{{axis}}} {x}", name="even").name == "even"
    del OPS["even"], Node.even


def test_one_domain_is_for_every_input():
    nonzero = Domain(excluding=(0.0,))
    op = tg.op(lambda a, b: a / b, name="ratio", domain=nonzero)
    assert op.domain == {"a": nonzero, "b": nonzero}


def test_a_name_loses_the_underscores_that_avoid_a_keyword():
    @tg.op
    def lambda_(x):
        return x

    assert lambda_.name == "lambda"


def test_the_inputs_of_a_ufunc_are_x_or_a_and_b():
    assert tg.op(np.spacing).inputs == ("x",)
    assert tg.op(np.nextafter).inputs == ("a", "b")


@pytest.mark.parametrize(
    ("ufunc", "signature"),
    [
        (np.spacing, "()->()"),
        (np.nextafter, "(),()->()"),
        (np.frexp, "()->(),()"),
        (np.vecdot, "(n),(n)->()"),
    ],
)
def test_the_shapes_of_a_ufunc_are_its_own(ufunc, signature):
    assert tg.op(ufunc, name=f"my_{ufunc.__name__}").signature == signature
    assert tg.op(ufunc, name="again", signature="(n)->(n)").signature == "(n)->(n)"


@pytest.mark.parametrize(
    ("signature", "elementwise"),
    [("()->()", True), ("(),()->()", True), ("(n)->()", False), (None, False)],
)
def test_elementwise_is_read_from_the_shapes(signature, elementwise):
    op = tg.op(lambda x: x, name="same", signature=signature)
    assert op.elementwise is elementwise


def test_op_is_a_decorator_with_and_without_arguments():
    @tg.op
    def plain(x):
        return x

    @tg.op(tex="{x}")
    def described(x):
        return x

    assert (plain.tex, described.tex) == (None, "{x}")


def test_a_new_op_stands_in_the_table_and_is_a_method(scaled):
    assert tg.OPS is OPS
    assert OPS["scaled"] is scaled
    x = tg.Tensor([2.0, 3.0], requires_grad=True)
    y = x.scaled([5.0, 7.0], factor=10.0)
    assert y.op is scaled
    assert y.data.tolist() == [100.0, 210.0]
    assert tg.Tensor.scaled.__doc__ == scaled.__doc__


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x,
        lambda a, b, *, first, second=2: a,
        lambda *arrays, axis=0: arrays,
        lambda x, *more, **others: x,
    ],
)
def test_a_wrapped_function_is_read_as_the_function_itself(forward):
    def read(forward):
        op = Op(forward, name="trial", listed=False)
        return op.inputs, op.defaults, op.variadic, str(op)

    assert read(wraps(forward)(lambda *args, **kwargs: 0)) == read(forward)


def test_an_op_that_is_not_listed_is_a_function_only():
    op = Op(lambda x: 2 * x, name="doubled", listed=False).vjp(x=lambda g, y, x: 2 * g)
    assert "doubled" not in OPS
    assert not hasattr(tg.Tensor, "doubled")
    assert tg.grad(op)(3.0) == 2


def test_a_variadic_op_is_no_method():
    assert "concatenate" in OPS
    assert not hasattr(tg.Tensor, "concatenate")


@pytest.mark.parametrize("name", ["data", "grad", "backward", "shape", "reshape"])
def test_an_attribute_of_tensors_is_not_replaced(name):
    before = getattr(tg.Tensor, name)
    if name in OPS:
        with pytest.raises(ValueError, match="built-in"):
            Op(lambda x: x, name=name)
    else:
        Op(lambda x: x, name=name)
    assert getattr(tg.Tensor, name) is before


# --- Redeclaration --------------------------------------------------------------------


def test_ones_own_op_may_be_declared_again_and_the_last_counts():
    tg.op(lambda x: x + 1.0, name="mine")
    again = tg.op(lambda x: x + 2.0, name="mine")
    assert OPS["mine"] is again
    assert tg.Tensor(0.0).mine().item() == 2.0


def test_ones_own_op_of_a_numpy_function_may_be_declared_again():
    first, second = tg.op(np.nextafter), tg.op(np.nextafter)
    assert OPS["nextafter"] is second is not first


@pytest.mark.parametrize("name", ["add", "sigmoid", "clip"])
def test_a_built_in_op_is_not_declared_again(name):
    before = OPS[name]
    with pytest.raises(ValueError, match=rf"'{name}' is .* built-in.*another name"):
        tg.op(lambda x: x, name=name)
    assert OPS[name] is before


# --- Calls ----------------------------------------------------------------------------


def test_on_arrays_an_op_computes_and_on_tensors_it_records(scaled):
    x, y = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    plain = scaled(x, y, factor=1.0)
    assert type(plain) is np.ndarray
    for recorded in (
        scaled(tg.Tensor(x, requires_grad=True), y, factor=1.0),
        scaled(x, tg.Tensor(y, requires_grad=True), factor=1.0),
    ):
        assert recorded.op is scaled
        assert recorded.params == {"factor": 1.0, "shift": 0.0}
        np.testing.assert_array_equal(recorded.data, plain)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f(2.0, 3.0, factor=5.0, shift=7.0),
        lambda f: f(2.0, 3.0, shift=7.0, factor=5.0),
        lambda f: f(2.0, 3.0, 5.0, 7.0),
        lambda f: f(2.0, 3.0, 5.0, shift=7.0),
        lambda f: f(2.0, y=3.0, factor=5.0, shift=7.0),
        lambda f: f(x=2.0, y=3.0, factor=5.0, shift=7.0),
        lambda f: f(shift=7.0, y=3.0, factor=5.0, x=2.0),
    ],
)
def test_arguments_are_bound_as_python_binds_them(scaled, call):
    assert call(scaled) == 37.0
    recorded = call(
        lambda x, y, *p, **k: scaled(tg.Tensor(x, requires_grad=True), y, *p, **k)
    )
    assert recorded.item() == 37.0
    assert recorded.params == {"factor": 5.0, "shift": 7.0}


def test_a_default_is_filled_in(scaled):
    assert scaled(2.0, 3.0, 5.0) == scaled(2.0, 3.0, factor=5.0) == 30.0


def test_the_parameters_of_one_call_do_not_reach_the_next():
    x = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    assert x.sum(axis=0).shape == (2,)
    assert x.sum().shape == ()
    assert x.sum(keepdims=True).shape == (1, 1)
    assert x.sum().params == {"axis": None, "dtype": None, "keepdims": False}


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: tg.concatenate([a, b], axis=1),
        lambda a, b: tg.concatenate((a, b), 1),
        lambda a, b: tg.concatenate(iter([a, b]), axis=1),
    ],
)
def test_a_variadic_op_takes_a_sequence_and_then_its_parameters(call):
    a, b = np.ones((2, 1)), np.zeros((2, 3))
    expected = np.concatenate([a, b], axis=1)
    np.testing.assert_array_equal(call(a, b), expected)
    recorded = call(a, tg.Tensor(b, requires_grad=True))
    np.testing.assert_array_equal(recorded.data, expected)
    assert recorded.params == {"axis": 1}
    assert len(recorded.inputs) == 2


def test_the_rule_of_a_variadic_op_is_asked_for_each_position():
    rng = np.random.default_rng(0)
    parts = [tg.Tensor(rng.standard_normal(n), requires_grad=True) for n in (1, 3, 2)]
    g = rng.standard_normal(6)
    tg.concatenate(parts).backward(g)
    np.testing.assert_array_equal(np.concatenate([p.grad.data for p in parts]), g)


@pytest.fixture
def weighted():
    """An op of many inputs, and what its rule was called with and asked for."""
    met = []

    @tg.op(name=f"weighted{len(OPS)}")
    def total(*arrays):
        return sum((i + 1) * a for i, a in enumerate(arrays))

    def of_all(g, y, *arrays):
        met.append(len(arrays))

        def at(i):
            met.append(f"at {i}")
            return (i + 1) * g

        return at

    return total.vjp(arrays=of_all), met


def test_the_rule_of_a_variadic_op_is_called_once_for_all(weighted):
    total, met = weighted
    a, b = (tg.Tensor(v, requires_grad=True) for v in (2.0, 3.0))
    total([a, 5.0, b]).backward(7.0)
    assert met == [3, "at 0", "at 2"]
    assert (a.grad.item(), b.grad.item()) == (7, 21)


def test_the_rule_of_a_variadic_op_is_recorded_explained_and_compiled():
    @tg.op(name=f"weighted{len(OPS)}")
    def total(*arrays):
        return sum((i + 1) * a for i, a in enumerate(arrays))

    total.vjp(arrays=lambda g, y, *arrays: lambda i: (i + 1) * g)
    rng = np.random.default_rng(1)
    values = rng.standard_normal(3)
    weights = np.array([1.0, 2.0, 3.0])

    def f(*xs):
        return tg.square(total(xs))

    gradients = tg.grad(f, argnums=(0, 1, 2))
    expected = 2 * np.dot(weights, values) * weights
    np.testing.assert_allclose(gradients(*values), expected)
    np.testing.assert_allclose(tg.compile(gradients)(*values), expected)
    np.testing.assert_allclose(tg.grad(tg.grad(f, 1), 2)(*values), 2 * 2 * 3)
    leaves = [tg.Tensor(v, requires_grad=True, name=n) for v, n in zip(values, "abc")]
    assert f"dy/dc = 6 {total.name}([a, b, c])" in str(tg.explain(f(*leaves)))


@pytest.mark.parametrize("join", [tg.concatenate, tg.stack])
def test_very_many_arrays_are_joined_in_linear_time(join):
    """It took minutes while the rule was called for each with all of them."""
    g = np.random.default_rng(0).standard_normal(100_000)
    shape = () if join is tg.stack else (1,)
    parts = [tg.Tensor(np.zeros(shape), requires_grad=True) for _ in g]
    join(parts).backward(g)
    assert [p.grad.item() for p in parts] == g.tolist()


# --- Errors ---------------------------------------------------------------------------

WRONG_CALLS = {
    "no input": lambda f: f(),
    "an input missing": lambda f: f(2.0, factor=5.0),
    "the first input missing": lambda f: f(y=2.0, factor=5.0),
    "a parameter missing": lambda f: f(2.0, 3.0),
    "too many": lambda f: f(2.0, 3.0, 5.0, 7.0, 11.0),
    "an unknown keyword": lambda f: f(2.0, 3.0, factor=5.0, scale=1.0),
    "an input twice": lambda f: f(2.0, 3.0, x=2.0, factor=5.0),
    "a parameter twice": lambda f: f(2.0, 3.0, 5.0, factor=7.0),
}


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS.keys())
def test_a_wrong_call_is_told_the_right_one(scaled, call):
    with pytest.raises(TypeError, match=r"scaled: call it as scaled\(x, y, factor, sh"):
        call(scaled)


def test_a_wrong_call_is_told_what_it_was():
    message = "has 1 positional arguments and the keywords along"
    with pytest.raises(TypeError, match=message):
        tg.sum(np.ones(3), along=0)
    with pytest.raises(TypeError, match=r"has 3 positional arguments$"):
        tg.add(1.0, 2.0, 3.0)


@pytest.mark.parametrize("arguments", [(), ([],), (5,)], ids=repr)
def test_a_variadic_op_wants_a_sequence(arguments):
    with pytest.raises(TypeError, match="concatenate"):
        tg.concatenate(*arguments)


def test_an_op_that_cannot_be_computed_says_why():
    message = r"^dot: shapes \(4, 3\) and \(4, 1\) do not align: 3 \(dim 1\) != 4 \(dim"
    a, b = np.ones((4, 3)), np.ones((4, 1))
    for call in (
        lambda: tg.dot(a, b),
        lambda: tg.Tensor(a).dot(b),
        lambda: tg.dot(a, tg.Tensor(b, requires_grad=True)),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__, "NumPy's own words add nothing"


def test_a_number_that_does_not_fit_the_dtype_gives_a_value_error():
    with pytest.raises(ValueError, match=r"add: .*uint8"):
        _ = tg.Tensor(np.array([1], np.uint8)) + 300


# --- Rules ----------------------------------------------------------------------------


def test_vjp_gives_back_the_op(scaled):
    assert scaled is OPS["scaled"]
    assert list(scaled.rules) == ["x", "y"], "in the order of the inputs"


def test_each_input_gets_its_own_rule_whatever_order_they_were_given_in(scaled):
    rng = np.random.default_rng(0)
    a, b, g = rng.standard_normal((3, 4))
    x, y = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
    scaled(x, y, factor=3.0).backward(g)
    np.testing.assert_allclose(x.grad.data, 3 * g * b, rtol=1e-15)
    np.testing.assert_allclose(y.grad.data, 3 * g * a, rtol=1e-15)


@pytest.mark.parametrize(
    ("names", "given"), [((), "none"), (("a",), "a"), (("a", "b", "c"), "a, b, c")]
)
def test_rules_are_named_as_the_inputs_are(names, given):
    op = tg.op(lambda a, b: a, name="first")
    message = f"first: .* per input, a, b; it got rules for {given}$"
    with pytest.raises(TypeError, match=message):
        op.vjp(**dict.fromkeys(names, lambda g, y, a, b: g))


def test_an_op_without_rules_computes():
    op = tg.op(lambda x: 2 * x, name="twice")
    assert op(3.0) == 6.0
    assert op(tg.Tensor(3.0, requires_grad=True)).item() == 6.0


def test_an_op_without_rules_does_not_lose_a_gradient_in_silence():
    op = tg.op(lambda x: 2 * x, name="twice")
    x = tg.Tensor(3.0, requires_grad=True)
    with pytest.raises((TypeError, ValueError), match=r"twice.*vjp"):
        op(x).backward()


# --- Composites -----------------------------------------------------------------------


@pytest.fixture
def halved():
    @composite(tex=r"{x} / 2")
    def halved(x, *, times=1):
        """Divided by two, again and again."""
        for _ in range(times):
            x = x / 2.0
        return x

    return halved


def test_a_composite_stands_in_the_table_and_is_a_method(halved):
    assert isinstance(halved, Composite)
    assert OPS["halved"] is halved
    assert halved.rules == {}
    assert tg.Tensor(4.0).halved(2).item() == 1.0


def test_a_composite_computes_on_arrays(halved):
    assert halved(np.array([4.0, 6.0])).tolist() == [2.0, 3.0]


def test_a_composite_is_recorded_as_the_ops_it_is_made_of(halved):
    y = halved(tg.Tensor(4.0, requires_grad=True), times=2)
    assert y.op is tg.divide
    assert y.inputs[0].op is tg.divide


def test_the_gradient_of_a_composite_falls_out(halved):
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    g = np.random.default_rng(0).standard_normal(2)
    halved(x, times=3).backward(g)
    np.testing.assert_array_equal(x.grad.data, g / 8)


def test_a_wrong_call_of_a_composite_is_told_the_right_one(halved):
    with pytest.raises(TypeError, match=r"halved: call it as halved\(x, times=1\)"):
        halved(1.0, often=3)


# --- Copies and pickles ---------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", ["built in", "own", "composite"])
def test_a_copy_of_an_op_is_the_op(kind, duplicate, scaled, halved):
    op = {"built in": tg.sigmoid, "own": scaled, "composite": halved}[kind]
    before = dict(OPS)
    assert duplicate(op) is op
    assert duplicate({"ops": [op]})["ops"][0] is op
    assert before == OPS


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_built_in_op_is_pickled_by_its_name(protocol):
    ops = [OPS[name] for name in sorted(tg.ops.BUILT_IN)]
    again = pickle.loads(pickle.dumps(ops, protocol))
    assert len(ops) > 100
    assert all(a is b for a, b in zip(again, ops, strict=True))


OWN_OPS = """
import numpy as np
import tinygrad_edu as tg
from tinygrad_edu.engine.op import composite

@tg.op
def cube(x):
    return x**3

cube.vjp(x=lambda g, y, x: g * 3 * x**2)
spacing = tg.op(np.spacing, name="ulp")
other_name = tg.op(lambda x: x, name="itself")
unlisted = tg.op(lambda x: x + 1, name="exp", listed=False)

@composite()
def quarter(x):
    return x / 4.0
"""


def test_ones_own_op_is_pickled_by_its_name_in_a_module(tmp_path, monkeypatch):
    (tmp_path / "own_ops.py").write_text(OWN_OPS)
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_ops")
    ops = [own.cube, own.spacing, own.other_name, own.unlisted, own.quarter]
    pickled = pickle.dumps(ops)
    assert all(a is b for a, b in zip(pickle.loads(pickled), ops, strict=True))
    elsewhere = """if True:
        import pickle, sys
        print([str(op) for op in pickle.load(sys.stdin.buffer)])
    """
    run = subprocess.run(
        [sys.executable, "-c", elsewhere],
        input=pickled,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}"},
        check=True,
    )
    assert run.stdout.decode().strip() == str([str(op) for op in ops])
    del sys.modules["own_ops"]


def test_an_op_that_no_module_has_is_not_pickled(scaled, halved):
    for op in (scaled, halved):
        with pytest.raises(TypeError, match=f"^{op.name}: .* at the top of a module"):
            pickle.dumps(op)


# --- In words -------------------------------------------------------------------------


def test_str_shows_how_to_call_an_op(scaled):
    assert str(scaled) == "scaled(x, y, factor, shift=0.0)"
    assert str(tg.add) == "add(a, b)"
    assert str(tg.sum) == "sum(x, axis=None, dtype=None, keepdims=False)"
    assert str(tg.concatenate) == "concatenate([arrays, ...], axis=0)"


def test_tools_see_how_to_call_an_op_and_its_method(scaled):
    def shown(f):
        return str(inspect.signature(f))

    assert shown(scaled) == "(x, y, *, factor, shift=0.0)"
    assert shown(tg.Tensor(1.0).scaled) == "(y, *, factor, shift=0.0)"
    assert shown(tg.exp) == "(x)"  # NumPy tells no signature of most of its ufuncs
    assert shown(tg.softmax) == "(x, *, axis=-1)"
    assert shown(tg.Tensor.reshape) == "(self, *shape: 'Shape') -> 'Tensor'"
    assert shown(tg.concatenate) == "(arrays, *, axis=0)"
    assert shown(tg.einsum) == "(subscripts, *arrays, optimize=False)"
    assert list(inspect.signature(Op).parameters)[:2] == ["forward", "name"]


def test_repr_says_that_it_is_an_op():
    assert repr(tg.add) == "<op add(a, b)>"


@pytest.mark.parametrize("name", ["array", "grad", "index", "op", "name"])
def test_an_op_takes_no_attributes_place_however_often_it_is_declared(name):
    for factor in (2.0, 3.0):  # of the gradient, so that both are told apart
        op = Op(lambda x: 2.0 * x, name=name, signature="()->()")
        op.vjp(x=lambda g, y, x: factor * g)  # noqa: B023
        x = tg.Tensor([1.0], requires_grad=True)
        op(x).sum().backward()
        assert x.grad.data.tolist() == [factor]
        assert x.array.tolist() == [1.0]
        assert x.is_leaf
