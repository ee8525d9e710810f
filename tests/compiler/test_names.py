"""Names and values of the user's in a program: none clashes, and none becomes code."""

import ast
import builtins
import dataclasses
import enum
import functools
import keyword
import math
import operator
from collections import namedtuple

import numpy as np
import numpy as xp
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import tinygrad_edu as tg
from tinygrad_edu.compiler import namespace
from tinygrad_edu.compiler.namespace import identifier
from tinygrad_edu.compiler.program import Equation, Program, Variable
from tinygrad_edu.compiler.writing.loops import Loops
from tinygrad_edu.compiler.writing.readable import Readable
from tinygrad_edu.engine.op import BUILT_IN, as_array
from tinygrad_edu.support.printable import printable

X = np.array([-1.0, 2.0, 3.0])
WAYS = [{"style": "fast"}, {"style": "readable"}, {"backend": "numba"}]
each_way = pytest.mark.parametrize("way", WAYS, ids=["fast", "readable", "numba"])
each_style = pytest.mark.parametrize("style", ["fast", "readable"])


@pytest.fixture(autouse=True)
def without_numba(request):
    if "numba" in request.node.name:
        pytest.importorskip("numba", reason="Numba is not installed")
        pytest.importorskip("scipy", reason="Numba calls SciPy's BLAS")


def op_of(forward, name=None):
    """Declare an op, with a gradient that the tests do not ask for."""
    op = tg.op(forward, name=name)
    return op.vjp(**{x: lambda g, *args, **params: g for x in op.inputs})


def leaky(slope, name="leaky_relu"):
    """Make an op that runs as one step, since how much it takes depends on values."""

    def leaky_relu(x):
        y = x.copy()
        y[x < 0] *= slope
        return y

    leaky_relu.__name__ = name
    op = tg.op(leaky_relu, name=f"leaky_{slope}")
    return op.vjp(x=lambda g, y, x: g * np.where(x < 0, slope, 1.0))


def agrees(f, *args, **way):
    compiled = tg.compile(f, **way)
    assert_allclose(compiled(*args), f(*args), rtol=1e-12)
    return compiled


# --- Functions ------------------------------------------------------------------------


@each_way
def test_no_name_is_a_word_of_pythons(way):
    """The gradient of `el` is not called `del`."""
    agrees(lambda el: tg.grad(lambda el: (el * el * el).sum())(el), X, **way)
    nothing = Program((), (), (), {})
    assert namespace.Namespace(nothing).taken.unused("del") == "del_2"


@each_style
def test_ops_of_one_name_are_two(style):
    a, b = leaky(0.1), leaky(0.5)
    c = agrees(lambda x: a(x) + 10 * b(x) + 100 * a(x), X, style=style)
    assert c.source.count("leaky_relu(x)") == 1  # and is computed once
    assert c.source.count("leaky_relu_2(x)") == 1


@each_style
def test_gradients_of_ops_of_one_name(style):
    a, b = leaky(0.1), leaky(0.5)

    def f(x):
        return tg.grad(lambda x: tg.sum(a(x) * b(x) * b(x)))(x)

    agrees(f, X, style=style)


OURS = [
    *("exp", "add", "multiply", "step", "epoch", "np", "numpy", "empty", "array", "c1"),
    *("k1", "t1", "o1", "z1", "y", "x", "rows", "order", "slice", "float", "print"),
    *("len", "dict", "as_array", "lambda", "class", "__debug__", "", "!", "2a", "λ"),
]


@each_style
@pytest.mark.parametrize("name", OURS)
def test_an_op_may_be_called_as_anything_in_a_program(name, style):
    a, b = leaky(0.1, name), leaky(0.5, name)

    def f(x):
        y = np.exp(a(x)) * np.add(b(x), 1) + tg.logsumexp(x * 2)
        return y.reshape(-1)[::2], a(y), [y, np.inf * y]

    compiled = tg.compile(f, style=style)
    assert_allclose(compiled(X)[0], f(X)[0])
    assert_allclose(compiled(X)[1], f(X)[1])


@each_style
def test_a_name_on_a_line_of_its_own_is_no_code(style):
    """As in a comment that says which op a line comes from."""
    hostile = "x\n    raise SystemExit('an op ran its name')  #"
    op = op_of(leaky(0.1).forward, name=hostile)
    compiled = agrees(lambda x: op(x), X, style=style)
    agrees(tg.grad(lambda x: tg.sum(op(x) * op(x))), X, style=style)
    assert "SystemExit(" not in compiled.source


class Scaled:
    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        y = x.copy()
        y[x < 0] *= self.slope
        return y


@dataclasses.dataclass
class Callable:
    slope: float

    def __call__(self, x):
        return Scaled.forward(self, x)


def of_an_alias(x):
    y = xp.copy(x)
    y[x < 0] *= 0.5
    return y


def imports_an_alias(x):
    import numpy as xq

    y = xq.copy(x)
    y[x < 0] *= 0.5
    return y


def takes_builtins(x):
    y = x.copy()
    y[x < 0] *= max([len(x), 7])
    return y


def a_default(x, k=xp.pi):
    y = x.copy()
    y[x < 0] *= 0.5
    return y


@functools.wraps(np.sum)
def named_as_numpys(x):
    y = x.copy()
    y[x < 0] *= 0.5
    return y


named_as_numpys.__wrapped__ = of_an_alias  # whose arguments it has


def named_as_ours(x):
    return of_an_alias(x)


named_as_ours.__name__ = "as_array"
named_as_ours.__module__ = "tinygrad_edu.engine.op"

FORWARDS = {
    "a bound method": Scaled(0.5).forward,
    "another's": Scaled(0.25).forward,
    "an object": Callable(0.5),
    "an alias of NumPy": of_an_alias,
    "an import": imports_an_alias,
    "a partial": functools.partial(of_an_alias),
    "a lambda": lambda x: of_an_alias(x),
    "Python's own": takes_builtins,
    "named as NumPy's": named_as_numpys,
    "named as ours": named_as_ours,
}


@each_style
@pytest.mark.parametrize("name", FORWARDS)
def test_a_forward_may_be_any_function(name, style):
    op = op_of(FORWARDS[name], name="any")
    agrees(lambda x: op(x) * 2 + np.sum(x), X, style=style)


@each_style
def test_two_methods_of_one_name(style):
    a, b = (op_of(Scaled(k).forward, name=f"scaled_{k}") for k in (0.5, 0.25))
    agrees(lambda x: a(x) + 10 * b(x), X, style=style)


@each_style
def test_ufuncs_that_are_not_numpys(style):
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed")

    def masked(x):
        y = special.erf(x)
        y[x < 0] = 0
        return y

    plain = op_of(lambda x: special.erf(x), name="plain_erf")
    masked_op = op_of(masked, name="masked_erf")
    agrees(lambda x: plain(x) + masked_op(x) * special.erf(x), X, style=style)
    # Their methods, beside NumPy's.
    agrees(
        lambda x: special.xlogy.outer(x, x)[2] + np.multiply.outer(x, x)[0],
        X + 2,
        style=style,
    )
    exp = np.frompyfunc(lambda x: x / 2, 1, 1)
    agrees(lambda x: exp(x).astype(float) + np.exp(x), X, style=style)


def test_numba_calls_what_is_the_users():
    pytest.importorskip("numba", reason="Numba is not installed")
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed")
    op = leaky(0.5)
    for f, name in [(op, "leaky_relu"), (special.erf, "erf")]:
        compiled = tg.compile(lambda x, f=f: f(x * 2), backend="numba")
        assert_allclose(np.asarray(compiled(X)), np.asarray(f(X * 2)))
        assert f"{name}(" in compiled.source


@each_style
def test_parameters_of_an_op_may_have_any_letters(style):
    op = op_of(lambda x, *, λ, k: x * λ if x[0] < 0 else x * k, name="lettered")
    agrees(lambda x: op(x, λ=2.0, k=3.0) + op(x * x, λ=2.0, k=3.0), X, style=style)
    word = Word.A  # twice the same
    op = op_of(lambda x, *, w: x.copy() if x[0] < 0 else w, name="worded")
    compiled = agrees(lambda x: op(x, w=word) + op(x * 2, w=word), X, style=style)
    assert compiled.source.count("w=o1") == 2


def first_count(x):
    return as_array(x) + 1


def second_count(x):
    return first_count(as_array(x)) + 2


def namesakes():
    def first_count(x):
        return x + 10

    def len(x):
        return x + 20

    return first_count, len


def hides_a_builtin(x):
    return x + len([as_array(x), 1])


def test_helpers_that_clash_are_given(monkeypatch):
    """Of two functions of this package's with one name, a source can have one."""
    monkeypatch.setattr(namespace, "_is_ours", lambda function: True)

    def given_to(*functions):
        variables = [Variable((3,), X.dtype) for _ in range(len(functions) + 1)]
        equations = [
            Equation(y, function, (x,))
            for x, y, function in zip(variables, variables[1:], functions)
        ]
        program = Program(variables[:1], tuple(equations), variables[-1:], {})
        written = Readable(program)
        names = dict(written.space.given)
        exec(written.source, names)
        assert_allclose(names["step"](X), program.evaluate(X)[0][0])
        return list(written.space.given)

    assert given_to(first_count, second_count) == []
    assert given_to(lambda x: x + 1) == ["_lambda"]
    other_count, other_len = namesakes()
    assert given_to(second_count, other_count) == ["first_count_2"]
    assert given_to(hides_a_builtin, np.sin, other_len) == ["_len"]


def test_the_source_says_what_it_is_given():
    op = leaky(0.5, "soft" * 40)
    other = op_of(lambda x, *, by: x.copy() if x[0] < 0 else by, name="other")
    by = object()
    compiled = tg.compile(lambda x: op(other(x, by=by)), style="readable")
    compiled(X)
    start = "import numpy as np\n\n# Not written here, but given to the program:\n#   "
    assert compiled.source.startswith(start)
    assert max(map(len, compiled.source.splitlines())) <= 88
    plain = agrees(lambda x: tg.logsumexp(x), X)
    assert "given" not in plain.source


# --- Values ---------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = 0.5
    BLUE = 0.25


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Word(enum.StrEnum):
    A = "a"
    B = "b"


class Flags(enum.Flag):
    A = 1
    B = 2


class Hostile(str):
    """What says of itself what is code."""

    def __repr__(self):
        return "(_ for _ in ()).throw(SystemExit('a value ran its text'))"

    __str__ = __format__ = lambda self, *args: repr(self)


class Same:
    """What says the same of itself as others do."""

    def __init__(self, slope):
        self.slope = slope

    def __repr__(self):
        return "Same()"


Pair = namedtuple("Pair", "first second")
ENUMS = [Colour.BLUE, Number.TWO, Word.B, Flags.A | Flags.B, Hostile("a")]


@each_way
@pytest.mark.parametrize("x", ENUMS, ids=lambda x: type(x).__name__)
def test_an_argument_may_be_an_enums_member(x, way):
    def f(a, kind, kinds):
        return a * (2 if kind == x else 3) * (5 if kinds["it"] == x else 7)

    compiled = tg.compile(f, **way)
    other = {Colour: Colour.RED, Number: Number.ONE, Word: Word.A}.get(type(x), "else")
    for kind in (x, other, x):
        assert_allclose(compiled(X, kind, {"it": x}), f(X, kind, {"it": x}))
    assert len(compiled._variants) == 2  # it is known again


KEYS = [
    *ENUMS,
    (1, 2),
    (Colour.RED, 1),
    frozenset([1]),
    1.5,
    float("nan"),
    None,
    True,
    int,
    b"x",
    np.int64(3),
    10**5000,
    *("", "a b", "!", "{0}", '"', "'\n", '"""', "]; raise SystemExit", "\ud800", "\0"),
]


def ids(key):
    return identifier(type(key).__name__) if type(key) is not str else ascii(key)


@each_way
@pytest.mark.parametrize("key", KEYS, ids=ids)
def test_a_key_may_be_anything(key, way):
    table = {key: X.copy()}
    w = {key: tg.Tensor(X, requires_grad=True)}

    def f(d):
        gradient = tg.grad(lambda x: tg.sum(x * x * d[key]))(table[key])
        w[key].grad = None
        tg.sum(w[key] * d[key]).backward()
        return {key: gradient + w[key].grad}

    compiled = tg.compile(f, **way)
    for _ in range(2):
        d = {key: X + 1}
        assert_allclose(compiled(d)[key], 2 * table[key] * d[key] + d[key])
        table[key] = table[key] * 2
        assert compiled._variants[0].fits((d,), {})
    assert not compiled._variants[0].fits(({"another": X},), {})


PARAMS = [
    *ENUMS,
    Pair(1, {"k": (Colour.RED,)}),
    {Colour.RED: 1, "a": [2, Hostile("b")]},
    [Pair(1, 2)],
    (Same(1),),
    slice(0, Number.TWO),
    np.dtype(">f4"),
    np.dtype(np.float32),
    np.dtype([("a", float)]),
    np.float32,
    float,
    np.float32(0.5),
    np.longdouble("0.1"),
    np.datetime64("2020-01-01"),
    np.str_("a"),
    10**5000,
    1j,
    math.nan,
    -math.inf,
    -0.0,
    Ellipsis,
    b"\0",
    {1, 2},
    len,
]


class Ordered(list):
    pass


def is_like(a, b):
    """Whether a value is another one, of the same kind through and through."""
    if type(a) is not type(b):
        return False
    if isinstance(a, slice):
        return is_like([a.start, a.stop, a.step], [b.start, b.stop, b.step])
    if isinstance(a, dict):
        return is_like([*a.items()], [*b.items()])
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(is_like, a, b))
    if isinstance(a, float) and (a != a or a == 0):
        return repr(a) == repr(b)
    return a == b


@each_style
@pytest.mark.parametrize("value", [*PARAMS, Ordered([1, 2])], ids=ids)
def test_an_op_gets_the_value_that_it_was_called_with(value, style):
    def forward(x, *, value):
        return x.copy() if x[0] < 0 and is_like(value, wanted) else x * np.nan

    wanted = value
    op = op_of(forward, name="sees")
    compiled = tg.compile(lambda x: op(x, value=value) * 2, style=style)
    for k in (1, 2):
        assert_allclose(compiled(k * X), 2 * k * X)


@each_style
def test_values_that_say_the_same_of_themselves_are_two(style):
    def forward(x, *, same):
        y = x.copy()
        y[x < 0] *= same.slope
        return y

    op = op_of(forward, name="by_same")
    a, b = Same(2.0), Same(3.0)
    compiled = agrees(lambda x: op(x, same=a) + 10 * op(x, same=b), X, style=style)
    assert "Same" not in compiled.source


def test_an_array_that_cannot_be_written_is_as_it_was():
    """The program has a copy: what was recorded is what the array held then."""
    table = np.array([1 + 2j, 3])
    op = op_of(lambda x, *, by: x * abs(by[x.argmax() % 2]), name="by_table")
    compiled = tg.compile(lambda x: op(x, by=np.array(table)))
    wanted = X * abs(table[0])
    assert_allclose(compiled(X), wanted)
    assert_allclose(compiled(X), wanted)


@each_way
def test_zero_below_zero_is_another_constant(way):
    signs = np.array([0.0, -0.0, 0.0])
    x = np.array([1.0, 2.0, 3.0])
    agrees(lambda x: np.copysign(x, signs.copy()), x, **way)
    agrees(lambda x: np.where(x > 1, np.array([0.0, -0.0, 0.0]), x), x, **way)


@each_way
def test_arithmetic_of_numbers(way):
    def f(x, k):
        return x * +k, x * abs(-k), x * -k, x * (-2.0) ** k, x * (k - -1.0), x * k**-2.0

    compiled = tg.compile(f, **way)
    for k in (2.0, 3.0):
        assert_allclose(compiled(X, k), f(X, k))


def test_numba_leaves_no_argument_out():
    pytest.importorskip("numba", reason="Numba is not installed")
    number = Variable((), None)
    shift = Equation(Variable((), None), operator.lshift, (number, 2))
    loops = Loops(Program((number,), (shift,), (shift.output,), {}))
    names = dict(loops.space.given)
    exec(loops.source, names)
    assert names["step"](3) == 12
    sums = tg.compile(lambda x: np.sum(x, where=x > 0), backend="numba")
    assert_allclose(sums(X), np.sum(X, where=X > 0))
    rounded = tg.compile(lambda x: np.add(x, x, dtype=np.float32), backend="numba")
    assert rounded(X.astype(np.float32)).dtype == np.float32


# --- Whatever the user calls things ---------------------------------------------------

HOSTILE = [
    *OURS,
    *keyword.kwlist,
    '__import__("os")',
    '__import__("builtins").__dict__.update(hacked=1)',
    "x\nimport builtins; builtins.hacked = 1",
    "x\rimport builtins; builtins.hacked = 1",
    "x\x0cimport builtins\u2028builtins.hacked = 1\x85",
    '"""\nimport builtins; builtins.hacked = 1\n"""',
    "'; import builtins; builtins.hacked = 1 #",
    "{0}",
    "{W.__class__}",
    "\\",
    "\N{LATIN SMALL LIGATURE FI}",
    "fi",
    "\N{MATHEMATICAL ITALIC SMALL E}xp",
    "x\N{SUPERSCRIPT TWO}",
    "x\N{TAMIL NUMBER TEN}y",
    "\N{RIGHT-TO-LEFT OVERRIDE}x",
    "\ud800",
    "a\0b",
    "e" * 20_000,
    "\N{LATIN SMALL LETTER E WITH ACUTE}" * 5_000,
    "\N{ARABIC LIGATURE JALLAJALALOUHOU}" * 100,
]
anything = st.sampled_from(HOSTILE) | st.text() | st.text(st.characters(), min_size=30)


class Model(tg.nn.Module):
    pass


@each_way
def test_no_name_is_code(way):
    """The names of ops, arguments, keys, attributes and parameters."""

    @settings(max_examples=20 if "backend" in way else 150, deadline=None)
    @given(st.lists(anything, min_size=6, max_size=6))
    def check(names):
        op_name, forward_name, argument, key, attribute, parameter = names
        if op_name in BUILT_IN or not printable(op_name or "nameless"):
            return  # no op is called so
        op = leaky(0.5, forward_name)
        op = op_of(op.forward, name=op_name or "nameless")

        def training():
            model = Model()
            vars(model)[attribute] = np.full(3, 0.5)
            weights = [
                tg.Tensor(X * k, requires_grad=True, name=name)
                for k, name in enumerate([parameter, "fi", forward_name], 1)
            ]
            optimiser = tg.optim.SGD(weights, 0.1)

            def step(table, **given):
                v = given[argument] * table[key] * vars(model)[attribute]
                u, w, z = weights
                loss = tg.sum(op(u * v) * tg.sin(w * v) + z)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                return {key: op(loss * v), "loss": loss}

            return step, weights

        plain, wanted = training()
        step, weights = training()
        compiled = tg.compile(step, **way)
        for k in (1, 2):
            call = {argument: X + k} if argument != "table" else {"w": X}
            if "w" in call:
                return
            got, expected = compiled({key: X}, **call), plain({key: X}, **call)
            for a, b in zip(got.values(), expected.values(), strict=True):
                assert_allclose(a.data, b.data, rtol=1e-12, atol=1e-12)
        for a, b in zip(weights, wanted, strict=True):
            assert_allclose(a.data, b.data, rtol=1e-12, atol=1e-12)
        assert not hasattr(builtins, "hacked")
        check_names(compiled.source)

    check()


def check_names(source):
    """See that a source has none but short identifiers, and no lines of the user's."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name in (getattr(node, k, None) for k in ("id", "arg", "name", "attr")):
            if isinstance(name, str):
                assert name.isidentifier()
                assert len(name) < 80
    assert source.isprintable() or set(
        filter(lambda c: not c.isprintable(), source)
    ) == {"\n"}
    statements = (ast.Import, ast.ImportFrom)
    for node in filter(lambda n: isinstance(n, statements), ast.walk(tree)):
        module = getattr(node, "module", None) or node.names[0].name
        assert module in {"numpy", "numba"}


@given(anything)
@example("x\N{TAMIL NUMBER TEN}y")  # a letter for a pattern, and none for Python
def test_an_identifier_is_one_for_python(name):
    found = identifier(name)
    assert found.isidentifier()
    assert not keyword.iskeyword(found)
    assert len(found) <= 61
    (assignment,) = ast.parse(f"{found} = 1").body
    assert assignment.targets[0].id == found  # which Python takes for no other
    assert not found.endswith("_")  # as numbers of arrays' elements do
