"""The page's program: for other leaves it computes what the engine would."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from built_in_calls import calls
from chromium import AXE, in_browser, needs_axe
from hypothesis import given, settings
from hypothesis import strategies as st
from leaves import leaf
from node import started
from random_graphs import graphs

import tinygrad_edu as tg
from tinygrad_edu import explaining
from tinygrad_edu.engine.graph import Node, record, topological_order
from tinygrad_edu.engine.op import BUILT_IN, OPS
from tinygrad_edu.explaining.packing import Arrays
from tinygrad_edu.explaining.program import Writer
from tinygrad_edu.explaining.replaying import GraphProgram, UnknownError
from tinygrad_edu.formulas.quantities import Quantities

# Ops that the page has no loop for, in their own computation or their rules.
UNKNOWN = {
    "convolve",
    "eigensystem",
    "eigh",
    "eigvalsh",
    "qr",
    "qr_factors",
    "singular_system",
    "svd",
    "svdvals",
}
# Of three arrays, of singular values, to some decimals, and of a stack of matrices with
# one right side.
SOMETIMES_UNKNOWN = {"einsum", "norm", "round", "solve"}


@pytest.fixture(scope="module")
def node():
    with started("arrays", "matrices", "program") as running:
        yield running


def computed(node, y, values):
    """Let the page compute a graph for other leaves.

    Without Node, only see that the graph can be written.
    """
    graph = GraphProgram(Quantities(topological_order(y), {}))
    arrays = Arrays()
    writer = Writer(graph, arrays)
    leaves = [{"single": x.dtype == np.float32} for x in graph.leaves]
    program = {"lines": writer.lines, "leaves": leaves, "shown": []}
    model = {"program": program, "arrays": arrays.packed(10**8)}
    if node is None:
        return None
    given = [values(x).ravel().tolist() for x in graph.leaves]
    task = "return [without ?? null, new Program(model.program).run(given)];"
    without, slots = node(task, model, given)
    assert without is None
    return {
        key: np.array(slots[writer.slots[x]], float).reshape(x.shape)
        for key, x in graph.variables.items()
    }


def repeated(y, values):
    """Record a graph anew for other leaves; return what is new by the old one's id."""
    again = {}

    def now(x):
        if isinstance(x, Node | np.ndarray) and id(x) not in again:
            again[id(x)] = values(x)
            if isinstance(x, Node):
                again[id(x)] = tg.Tensor(values(x), requires_grad=x.requires_grad)
        return again.get(id(x), x)

    for x in reversed(topological_order(y)):
        if x.op is None:
            now(x)
        else:
            again[id(x)] = record(x.op, tuple(map(now, x.inputs)), x.params)
    return again


def check_against_engine(node, y, values, rtol=1e-9):
    found = computed(node, y, values)
    if found is None:
        return
    with np.errstate(all="ignore"):
        again = repeated(y, values)
        again[id(y)].backward()
    compared = 0
    for key, x in again.items():
        if not isinstance(x, Node):
            continue
        if x.dtype == bool or (x.ndim == 0 and x.is_leaf and not x.requires_grad):
            continue  # a condition, or one of NumPy's numbers: no quantity
        for what, expected in ("value", x.data), ("gradient", x.grad):
            if expected is not None:
                expected = np.asarray(getattr(expected, "data", expected), float)
                size = np.max(np.abs(expected[np.isfinite(expected)]), initial=1e-300)
                np.testing.assert_allclose(
                    found[what, key], expected, rtol=rtol, atol=rtol * size
                )
                compared += 1
    assert compared > 1


def other_values(seed):
    """Return a function that gives other values for a leaf, always the same ones."""

    def values(x):
        data = x.data if isinstance(x, Node) else x
        is_number = data.ndim == 0 and not getattr(x, "requires_grad", False)
        if data.dtype.kind != "f" or is_number:
            return data
        rng = np.random.default_rng((seed, data.size))
        scale = rng.uniform(0.8, 1, data.shape)
        return np.asarray(data * scale).astype(data.dtype)

    return values


@given(graphs(), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_random_graph_gives_the_engines_numbers_for_other_leaves(node, y, seed):
    check_against_engine(node, y, other_values(seed))


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_op_gives_the_engines_numbers(node, name):
    op = OPS[name]
    unknown = []

    @given(calls(op), st.integers(0, 9))
    @settings(max_examples=8, deadline=None, derandomize=True, database=None)
    def check(call, seed):
        inputs = [
            tg.Tensor(x, requires_grad=True)
            if isinstance(x, np.ndarray) and x.dtype.kind == "f"
            else x
            for x in call.inputs
        ]
        with np.errstate(all="ignore"):
            found = op(*([inputs] if op.variadic else inputs), **call.params)
            results = found if isinstance(found, tuple | list) else [found]
            floats = [y for y in results if isinstance(y, Node) and y.requires_grad]
            rng = np.random.default_rng(seed)
            y = sum((x * rng.standard_normal(x.shape)).sum() for x in floats)
            if not floats or y.dtype == np.float16:
                return
            try:
                rtol = 1e-9 if y.dtype == np.float64 else 1e-4
                check_against_engine(node, y, other_values(seed), rtol)
            except UnknownError as error:
                unknown.append(str(error))

    check()
    if name not in SOMETIMES_UNKNOWN:
        assert bool(unknown) == (name in UNKNOWN)


def check_unknown(y, what):
    with pytest.raises(UnknownError, match=rf"^it cannot compute {what}$"):
        Writer(GraphProgram(Quantities(topological_order(y), {})), Arrays())


def test_a_function_of_another_library_is_unknown():
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed")
    check_unknown(special.erf(leaf([1.0, 2.0])).sum(), "erf")


def test_an_op_that_looks_at_values_is_unknown():
    @tg.op
    def clamped(x):
        return x if float(np.max(x)) < 1 else x / float(np.max(x))

    clamped.vjp(x=lambda g, y, x: g * y / x)
    check_unknown(clamped(leaf([1.0, 2.0])).sum(), "clamped")

    @tg.op
    def halved(x):
        return x / 2

    halved.vjp(x=lambda g, y, x: g / 2 if float(g.data.max()) else g)
    check_unknown(halved(leaf([1.0, 2.0])).sum(), "a backward rule")


def test_an_index_that_is_computed_is_unknown():
    @tg.op
    def picked(x):
        return x[np.floor(x).astype(int)]

    picked.vjp(x=lambda g, y, x: g)
    check_unknown(picked(leaf([1.0, 0.5])).sum(), "picked")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x, where=[True, False]) + x,
        lambda x: np.add(x, 1.0, dtype=np.float32),
        lambda x: np.modf(x)[0],
        lambda x: x.astype(bool).astype(float),
        lambda x: np.einsum("i,i,i->i", x, x, x),
    ],
)
def test_what_the_page_has_no_loop_for_is_unknown(f):
    op = tg.op(lambda x: f(x), name="strange").vjp(x=lambda g, y, x: g * y)
    check_unknown((op(leaf([1.0, 2.0])) * 2.0).sum(), "strange")


def test_a_constant_that_was_made_of_another_follows_it(node):
    """Cross-entropy has computed 1 - y of the targets y, and that was not recorded."""
    p, y = leaf([[0.2], [0.7]], "p"), np.array([[0.0], [1.0]])
    loss = tg.losses.cross_entropy(p, y)
    other = np.array([[0.25], [0.5]])
    found = computed(node, loss, lambda x: other if x is y else x.data)
    if found is not None:
        expected = tg.losses.cross_entropy(p, other).item()
        assert found["value", id(loss)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("stack", [(), (3,)])
def test_matrices_are_computed_also_if_rows_must_be_exchanged(node, stack):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*stack, 5, 5))
    x[..., 0, 0] = x[..., 2, 2] = 0.0
    x[..., 1, 0] = -4.0  # so the determinant changes its sign
    a, b = leaf(x, "a"), leaf(rng.standard_normal((*stack, 5, 2)), "b")
    positive = a @ a.swapaxes(-1, -2) + np.eye(5)
    _, logarithm = tg.linalg.slogdet(a)
    terms = [tg.linalg.inv(a), tg.linalg.solve(a, b), tg.linalg.cholesky(positive)]
    terms += [tg.linalg.det(a), logarithm]
    y = sum((z * rng.standard_normal(z.shape)).sum() for z in terms)
    check_against_engine(node, y, other_values(2))


def test_a_vector_is_a_right_side_of_one_matrix(node):
    a = leaf(np.array([[0.0, 2.0], [3.0, 1.0]]))
    b = leaf(np.array([1.0, 2.0]))
    check_against_engine(node, (tg.linalg.solve(a, b) ** 2).sum(), other_values(1))
    check_unknown(tg.linalg.solve(tg.stack([a, a * 2.0]), b[:, None]).sum(), "solve")


def test_the_sign_of_a_determinant_is_unknown():
    signed = tg.op(lambda x: np.linalg.slogdet(x)[0] * x, name="signed")
    signed.vjp(x=lambda g, y, x: g)
    check_unknown(signed(leaf(np.eye(2))).sum(), "signed")


def test_cumulative_sums_along_any_axis(node):
    rng = np.random.default_rng(1)
    x = leaf(rng.standard_normal((2, 3, 4)))
    terms = [tg.cumsum(x, axis=axis) for axis in (None, 0, 1, -1)]
    y = sum((z * rng.standard_normal(z.shape)).sum() for z in terms)
    check_against_engine(node, y, other_values(3))


def test_a_number_times_a_vector(node):
    y = tg.dot(leaf(2.0), leaf([1.0, 2.0, 3.0])).sum() + tg.round(leaf(2.5))
    check_against_engine(node, y, other_values(0))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_constants_of_any_dtype(node, dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    y = tg.sum(tg.tanh(leaf(np.ones((3, 2), np.float32)).T * x) + 1 / 3)
    check_against_engine(node, y, other_values(1), rtol=1e-5)


def test_a_page_that_would_be_too_large_or_wrong_has_no_program(tmp_path):
    def program_of(y):
        text = tg.step_through(y, tmp_path / "page.html").read_text("utf-8")
        return json.loads(re.search(r'id="model">(.*?)</script>', text, re.S)[1])[
            "program"
        ]

    y = leaf(1.0)
    for _ in range(60):
        y = y * 2.0
    assert "lines" in program_of(y)
    for _ in range(900):
        y = y * 2.0
    assert program_of(y) == {"without": "this graph is too large for that"}
    y = tg.sum(spaced()(leaf(np.eye(2))).astype(np.float16))
    assert program_of(y) == {"without": "it cannot compute astype"}


def test_no_two_scripts_of_the_page_use_one_name():
    folder = Path(explaining.__file__).parent / "page"
    names = Counter(
        name
        for path in folder.glob("*.js")
        for name in re.findall(
            r"(?m)^(?:class|const|function|let) (\w+)", path.read_text()
        )
    )
    assert [name for name, n in names.items() if n > 1] == []


# --- In a browser ---------------------------------------------------------------------


def network(changed=None, lr=0.0, steps=0):
    """Return the loss of a network on XOR, and its parameters by name.

    Before that, change some elements, and take some steps of gradient descent.
    """
    x, y = tg.data.xor()
    model = tg.nn.MLP([2, 3, 1], rng=0)
    parameters = {"W1": model.weights[0], "b1": model.biases[0]}
    parameters |= {"W2": model.weights[1], "b2": model.biases[1]}
    for (name, *index), value in (changed or {}).items():
        array = parameters[name].data.copy()
        array[tuple(index)] = value
        parameters[name].data = array
    optimiser = tg.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        tg.losses.mse(model(x), y).backward()
        optimiser.step()
    optimiser.zero_grad()
    loss = tg.losses.mse(model(x), y)
    loss.name = "loss"
    return loss, parameters


# The numbers of all steps, and of all nodes, by name.
SHOWN = """() => {
    const numbers = (n) => Array.from(arrayOf(n).numbers, String);
    return [
        steps.map(({ equations }) => equations.map(
            ({ figures }) => figures.map(({ array }) => numbers(array)))),
        model.nodes.map(({ name, value, gradient }) => [
            name, numbers(value), gradient === undefined ? null : numbers(gradient)]),
    ];
}"""


def leaves_of(array_or_list):
    if not isinstance(array_or_list, list):
        return [] if array_or_list is None else [array_or_list]
    return [x for part in array_or_list for x in leaves_of(part)]


def check_shows(page, y, rtol=1e-9):
    """The page shows what the page of another graph would, but for its digits."""
    found = page.evaluate(SHOWN)
    nodes = {name: (value, gradient) for name, value, gradient in found[1]}
    by_name = {x.name or "": x for x in topological_order(y)}
    y.backward(retain_graph=True)
    for name in {"W1", "W2", "b1", "b2", "loss"} & by_name.keys():
        value, gradient = nodes[name]
        x = by_name[name]
        close = {"rtol": rtol, "atol": rtol * np.max(np.abs(x.data))}
        np.testing.assert_allclose(np.float64(value), x.data.ravel(), **close)
        if x.op is None:
            expected = x.grad.numpy().ravel()
            close = {"rtol": rtol, "atol": rtol * np.max(np.abs(expected))}
            np.testing.assert_allclose(np.float64(gradient), expected, **close)
            x.zero_grad()
    return found


def field(page, label):
    return page.get_by_role("spinbutton", name=label, exact=True)


def box(page, name):
    return page.locator(
        f"#picture :is([aria-label^='{name} '], [aria-label^='{name},'])"
    )


@in_browser
def test_a_typed_number_changes_all_that_depends_on_it(show):
    page = show(network()[0])
    page.click("#poke")
    field(page, "W1[0, 1]").fill("0.75")
    y, _ = network({("W1", 0, 1): 0.75})
    found = check_shows(page, y)
    other = show(y).evaluate(SHOWN)
    np.testing.assert_allclose(
        np.float64(leaves_of(found[0])), np.float64(leaves_of(other[0])), rtol=2e-6
    )


@in_browser
def test_the_change_of_the_loss_stands_beside_gradient_times_change(show):
    y, parameters = network()
    y.backward(retain_graph=True)
    slope = parameters["W1"].grad.numpy()[0, 1]
    for p in parameters.values():
        p.zero_grad()
    before, was = y.item(), parameters["W1"].data[0, 1]
    page = show(y)
    assert not page.locator("#effect").is_visible()
    page.click("#poke")
    field(page, "W1[0, 1]").fill("0.27")
    after = network({("W1", 0, 1): 0.27})[0].item()
    told = page.locator("#effect [aria-live=polite]").inner_text().replace("−", "-")
    change, product = map(float, re.findall(r"(?:of|= )\s*([+-]\S+)", told))
    assert change == pytest.approx(after - before, rel=1e-3)
    assert product == pytest.approx(slope * (0.27 - was), rel=1e-3)
    assert "dloss/dW1[0, 1] × change of W1[0, 1] = " in told
    page.click("#restore")
    assert not page.locator("#effect").is_visible()
    check_shows(page, y, rtol=1e-6)  # what was recorded is written with 7 digits


@in_browser
def test_an_element_is_dragged_and_moved_by_keys(show):
    page = show(network()[0])
    page.click("#poke")
    page.select_option("#leaf", label="b2")
    slider = page.get_by_role("slider", name="b2[0]")
    slider.focus()
    for key in ["ArrowRight"] * 3 + ["ArrowLeft"]:
        page.keyboard.press(key)
    value = float(slider.input_value())
    assert value != network()[1]["b2"].item()
    check_shows(page, network({("b2", 0): value})[0])
    assert float(field(page, "b2[0]").input_value()) == pytest.approx(value, rel=1e-3)


@in_browser
def test_a_step_at_the_end_lowers_the_loss_as_gradient_descent_does(show):
    y, _ = network()
    page = show(y)
    step = page.get_by_role("button", name="Take a step")
    assert not step.is_visible()
    page.keyboard.press("End")
    field(page, "learning rate").fill("0.5")
    for n in (1, 2, 3):
        step.click()
        now, _ = network(lr=0.5, steps=n)
        check_shows(page, now)
    assert now.item() < y.item()
    told = page.locator("#effect [aria-live=polite]").inner_text()
    assert "after 3 steps" in told
    assert "added up over 13 numbers" in told
    page.keyboard.press("Home")
    page.click("#poke")
    number = float(field(page, "W1[0, 0]").input_value())
    assert number == pytest.approx(
        network(lr=0.5, steps=3)[1]["W1"].data[0, 0], rel=1e-3
    )
    field(page, "W1[0, 0]").fill("2")  # from here on
    assert "after 3 steps" not in page.locator("#effect").inner_text()


@in_browser
def test_a_constant_can_be_changed_too_but_has_no_gradient(show):
    page = show(network()[0])
    page.click("#poke")
    page.select_option("#leaf", label="x")
    field(page, "x[2, 1]").fill("0.5")
    assert "x is a constant" in page.locator("#effect").inner_text()
    field(page, "x[2, 1]").fill("0")
    assert "over 0 numbers: 0" in page.locator("#effect").inner_text()
    field(page, "x[2, 1]").fill("")  # is no number
    assert "over 0 numbers: 0" in page.locator("#effect").inner_text()


@in_browser
def test_an_element_of_a_large_leaf_is_found_by_its_index(show):
    rng = np.random.default_rng(0)
    w = leaf(rng.standard_normal((12, 20)), "w")
    y = tg.sum(tg.tanh(w))
    page = show(y)
    page.click("#poke")
    field(page, "index along axis 0").fill("11")
    field(page, "index along axis 1").fill("30")  # there is none
    assert field(page, "w[0, 0]").is_visible() is False
    field(page, "index along axis 1").fill("3")
    field(page, "w[11, 3]").fill("1.5")
    found = page.evaluate("Array.from(arrayOf(model.program.shown[0][0]).numbers)")
    expected = w.data.copy()
    expected[11, 3] = 1.5
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-12)


def batch():
    rng = np.random.default_rng(0)
    x, y = rng.random((128, 784), np.float32), rng.random((128, 10), np.float32)
    model = tg.nn.MLP([784, 30, 10], rng=0, dtype=np.float32)
    loss = tg.losses.mse(model(x), y)
    loss.name = "loss"
    return loss, model.weights[0]


@in_browser
def test_of_a_large_batch_the_page_computes_what_it_shows(show):
    """It has room for x and the parameters only."""
    y, w1 = batch()
    page = show(y)
    missing = page.evaluate("model.arrays.filter(({ data }) => data === null).length")
    assert missing > 10
    found = check_shows(page, y, rtol=1e-4)
    page.click("#poke")
    page.select_option("#leaf", label="b1")
    page.get_by_role("spinbutton", name="index along axis 0").fill("3")
    field(page, "b1[3]").fill("4")
    changed = page.evaluate(SHOWN)
    assert changed != found
    page.click("#restore")
    assert page.evaluate(SHOWN) == found
    assert w1.shape == (30, 784)


@in_browser
def test_a_condition_that_has_turned_is_told(show):
    x = leaf([0.5, 2.0], "x")
    page = show(tg.sum(tg.maximum(x, 1.0) * x))
    page.click("#poke")
    field(page, "x[0]").fill("0.6")
    assert "A condition" not in page.locator("#effect").inner_text()
    field(page, "x[0]").fill("1.6")
    assert "A condition has another answer now" in page.locator("#effect").inner_text()


def spaced():
    """Declare an op with a function of NumPy's that the page does not have."""
    return tg.op(lambda x: np.spacing(x), name="spaced").vjp(x=lambda g, y, x: g)


@in_browser
@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (lambda x: spaced()(x), "it cannot compute spacing"),
        (lambda x: tg.astype(x, np.float16), "it cannot compute astype"),
        (lambda x: x * np.ones((300, 300, 2, 2)), "this graph is too large for that"),
    ],
)
def test_a_page_that_cannot_compute_says_so_and_stays_as_it_is(show, graph, why):
    rng = np.random.default_rng(0)
    page = show(tg.sum(graph(leaf(rng.random((2, 2)) + np.eye(2), "x"))))
    page.click("#poke")
    told = f"The numbers of this page cannot be changed: {why}."
    assert page.inner_text("#try").strip() == told
    page.keyboard.press("End")
    assert page.locator("#try input, #try button").count() == 0


@in_browser
def test_the_fields_are_opened_from_the_controls_or_from_a_leaf(show):
    page = show(network()[0])
    page.focus("#poke")
    page.keyboard.press("Space")
    assert field(page, "W1[0, 0]").is_visible()
    assert page.get_by_role("button", name="Play", exact=True).count() == 1
    page.keyboard.press("Space")
    assert not field(page, "W1[0, 0]").is_visible()
    box(page, "b2").click()
    page.get_by_role("dialog").get_by_role("button", name="Change a number").click()
    assert page.evaluate("document.activeElement.ariaLabel") == "b2[0]"
    page.keyboard.press("Escape")
    box(page, "a1").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name="Change a number").count() == 0


@in_browser
@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_fields(show, scheme):
    page = show(network()[0], color_scheme=scheme, bypass_csp=True)
    page.evaluate(AXE.read_text("utf-8"))
    page.keyboard.press("End")
    page.click("#poke")
    field(page, "W1[0, 0]").fill("1")
    find = """axe.run().then(({ violations }) => violations.map(
        ({ id, nodes }) => [id, nodes.map(({ html }) => html)]))"""
    assert page.evaluate(find) == []


@in_browser
def test_a_phone_shows_the_fields_and_the_effect(show):
    phone = {"width": 390, "height": 844}
    page = show(network()[0], viewport=phone, is_mobile=True, has_touch=True)
    page.locator("#poke").tap()
    field(page, "W1[2, 1]").fill("-1.5")
    assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    for name in ("leaves", "effect"):
        area = page.locator(f"#{name}").bounding_box()
        assert area["x"] >= 0
        assert area["x"] + area["width"] <= phone["width"]
