"""compare finds the layer where a derivation by hand went wrong, and the slip."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.reference import gradients, sigmoid

NAMES = ["W1", "W2", "b1", "b2"]


class Lesson:
    """A network of two layers, and its backpropagation by hand."""

    def __init__(self, sizes=(4, 3, 2)):
        rng = np.random.default_rng(0)
        self.model = tg.nn.MLP(sizes, rng=rng)
        self.x, self.y = rng.random((5, sizes[0])), rng.random((5, sizes[-1]))
        self.weights = [w.data for w in self.model.weights]
        self.biases = [b.data for b in self.model.biases]
        self.a1 = sigmoid(self.x @ self.weights[0].T + self.biases[0])
        self.a2 = sigmoid(self.a1 @ self.weights[1].T + self.biases[1])

    def by_hand(self, *how):
        dw, db = gradients(self.weights, self.biases, self.x, self.y, *how)
        return dw + db

    def from_deltas(self, delta2, delta1):
        a1, x = self.a1, self.x
        return [delta1.T @ x, delta2.T @ a1, delta1.sum(axis=0), delta2.sum(axis=0)]

    @property
    def mse(self):
        return tg.losses.mse(self.model(self.x), self.y)

    @property
    def cross_entropy(self):
        z = self.model.logits(self.x)
        return tg.losses.cross_entropy_with_logits(z, self.y)


@pytest.fixture
def lesson():
    return Lesson()


def verdicts(comparison):
    return {row.parameter: row.verdict for row in comparison}


def test_a_right_derivation_is_right(lesson):
    comparison = tg.compare(lesson.by_hand(), lesson.mse, lesson.model)
    assert comparison
    assert [row.parameter for row in comparison] == ["W2", "b2", "W1", "b1"]
    assert all(row.relative_difference < 1e-12 for row in comparison)


@pytest.mark.parametrize(
    "give",
    [
        lambda arrays: arrays,
        lambda arrays: dict(zip(NAMES, arrays)),
        lambda arrays: lambda: arrays,
        lambda arrays: lambda: dict(zip(NAMES, arrays)),
    ],
    ids=["arrays", "by name", "a function", "a function, by name"],
)
def test_gradients_are_given_in_many_ways(lesson, give):
    how = ("cross-entropy", 0.5, 20)
    loss = lesson.cross_entropy + tg.losses.l2(lesson.model.weights, 0.5, 20)
    assert tg.compare(give(lesson.by_hand(*how)), loss, lesson.model)
    for p in lesson.model.parameters():
        assert p.grad is None
    loss.backward()


def test_parameters_are_given_in_many_ways(lesson):
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    loss = (w * w).sum()
    for mine in (2 * w.data, 2 * w, [2 * w.data]):
        assert tg.compare(mine, loss, w)
    scalar = tg.Tensor(3.0, requires_grad=True)
    assert tg.compare(6.0, scalar * scalar, scalar)
    assert tg.compare({"w": 2 * w.data}, loss, {"w": w})
    (row,) = tg.compare([2 * w.data], loss, [w])
    assert row.parameter == "parameter 0"


def test_plain_slips_are_named(lesson):
    dw1, dw2, db1, db2 = lesson.by_hand()
    mine = [-dw1, dw2, 0 * db1, 5 * db2]
    comparison = tg.compare(mine, lesson.mse, lesson.model)
    assert verdicts(comparison) == {
        "W1": "wrong: its sign is flipped",
        "W2": "right",
        "b1": "wrong: it is zero",
        "b2": "wrong: it is 5 times too large: divide by the number of examples, 5",
    }
    assert {row.parameter: row.lesson for row in comparison} == {
        "W1": "lessons/01-one-path",  # where a sign is met first
        "W2": "",
        "b1": "lessons/03-layers",
        "b2": "lessons/04-batches",
    }


def test_the_shape_tells(lesson):
    dw1, dw2, db1, db2 = lesson.by_hand()
    found = verdicts(tg.compare([dw1.T, dw2[:1], db1, db2], lesson.mse, lesson.model))
    assert found["W1"] == "wrong: it is transposed"
    assert found["W2"] == "wrong: it has the shape (1, 3)"


def test_a_stray_number_is_pointed_at(lesson):
    dw1, dw2, db1, db2 = lesson.by_hand()
    dw1[2, 1] += 0.5
    comparison = tg.compare([dw1, dw2, db1, db2], lesson.mse, lesson.model)
    assert not comparison
    assert re.match(r"wrong: it is .* at \[2, 1\]", verdicts(comparison)["W1"])
    scalar = tg.Tensor(2.0, requires_grad=True)
    found = verdicts(tg.compare([np.array(7.0)], scalar * scalar, scalar))
    assert found == {"parameter 0": "wrong: it is 7 and should be 4"}


def test_a_slip_is_named_once_and_then_inherited(lesson):
    a1, a2, w2 = lesson.a1, lesson.a2, lesson.weights[1]
    delta2 = (a2 - lesson.y) / 5
    delta1 = (delta2 @ w2) * a1 * (1 - a1)
    mine = lesson.from_deltas(delta2, delta1)
    comparison = tg.compare(mine, lesson.mse, lesson.model)
    inherited = dict.fromkeys(NAMES, "wrong: inherited from delta2")
    assert verdicts(comparison) == inherited | {"W2": "wrong: sigma'(z2) is missing"}
    assert [row.lesson for row in comparison] == ["lessons/01-one-path", "", "", ""]

    delta2 = (a2 - lesson.y) / 5 * a2 * (1 - a2)
    mine = lesson.from_deltas(delta2, delta2 @ w2)
    assert verdicts(tg.compare(mine, lesson.mse, lesson.model)) == {
        "W2": "right",
        "b2": "right",
        "W1": "wrong: sigma'(z1) is missing",
        "b1": "wrong: inherited from delta1",
    }


def test_two_slips_are_named_each_in_its_layer(lesson):
    a1, a2, w2 = lesson.a1, lesson.a2, lesson.weights[1]
    delta2 = (lesson.y - a2) / 5 * a2 * (1 - a2)
    mine = lesson.from_deltas(delta2, delta2 @ w2 * a1)
    assert verdicts(tg.compare(mine, lesson.mse, lesson.model)) == {
        "W2": "wrong: its sign is flipped",
        "b2": "wrong: inherited from delta2",
        "W1": "wrong: the factor (1 - a1) is missing",
        "b1": "wrong: inherited from delta1",
    }


def test_a_penalty_by_way_of_many_inputs_left_out_is_found(lesson):
    joined = tg.concatenate(lesson.model.biases)
    loss = lesson.cross_entropy + (joined * joined).sum()
    found = verdicts(tg.compare(lesson.by_hand("cross-entropy"), loss, lesson.model))
    assert found["W1"] == found["W2"] == "right"
    assert all("is missing" in found[b] or "inherited" in found[b] for b in NAMES[2:])
    assert any("the path through" in found[b] for b in NAMES[2:])


def test_one_of_several_paths_is_missing():
    a, b = (
        tg.Tensor(v, requires_grad=True, name=n) for v, n in ((2.0, "a"), (5.0, "b"))
    )
    inner = a * b
    loss = tg.sin(inner) * a
    by_sine, direct = np.cos(10.0) * 5 * 2, np.sin(10.0)
    found = tg.compare({"a": direct, "b": np.cos(10.0) * 4}, loss, [a, b])
    assert verdicts(found)["a"] == "wrong: the path through inner is missing"
    found = tg.compare({"a": by_sine, "b": np.cos(10.0) * 4}, loss, [a, b])
    assert verdicts(found)["a"] == "wrong: the path through loss is missing"


def test_a_square_that_counts_one_of_its_uses():
    w = tg.Tensor([0.5, -3.0, 2.0], requires_grad=True, name="w")
    (row,) = tg.compare([np.cos(w.data**2) * w.data], tg.sin(w * w).sum(), [w])
    assert "half as large" in row.verdict or "one of the 2 uses of w" in row.verdict


def test_numbers_that_cannot_tell_two_slips_apart():
    x, w = tg.Tensor(2.0, name="x"), tg.Tensor(1.0, requires_grad=True, name="w")
    a = tg.tanh(w * x)
    (row,) = tg.compare([1 - a.item() ** 2], a, [w])
    assert re.fullmatch(
        r"wrong: .*the factor x is missing.*; or it is half as large as it should be "
        r"\(these numbers cannot tell; try .*\b(x = 3|w = 2)\b.*\)",
        row.verdict,
    )


def test_a_gradient_by_forward_differences_is_recognised(lesson):
    model, step = lesson.model, 1e-5
    mine = []
    for p in model.parameters():
        slopes = np.zeros(p.shape)
        for i in np.ndindex(p.shape):
            before = p.data
            p.data = before.copy()
            p.data[i] += step
            above = lesson.mse.item()
            p.data = before
            slopes[i] = (above - lesson.mse.item()) / step
        mine.append(slopes)
    comparison = tg.compare(mine, lesson.mse, model)
    assert not comparison
    for row in comparison:
        assert row.verdict.startswith("close: this is a forward difference")
        assert "1e-05" in row.verdict


def test_lists_of_column_vectors_are_understood(lesson):
    dw, db = gradients(lesson.weights, lesson.biases, lesson.x, lesson.y)
    columns = [b[:, None] for b in db]
    for mine in ((columns, dw), (dw, db), (dw, columns), lambda: (columns, dw)):
        assert tg.compare(mine, lesson.mse, lesson.model)
    mine = (columns, [dw[0], -dw[1]])
    found = verdicts(tg.compare(mine, lesson.mse, lesson.model))
    assert found["W2"] == "wrong: its sign is flipped"


def test_what_is_right_can_be_withheld(lesson):
    dw1, dw2, db1, db2 = lesson.by_hand()
    dw1[2, 1] += 0.5
    mine = [dw1, dw2, db1, db2]
    found = verdicts(tg.compare(mine, lesson.mse, lesson.model, reveal=False))
    assert found["W1"] == "wrong: no common slip explains it; it differs most at [2, 1]"
    assert found["W2"] == "right"


def test_a_gradient_that_is_off_by_a_little_everywhere_is_no_difference(lesson):
    mine = [g + 1e-4 for g in lesson.by_hand()]
    for row in tg.compare(mine, lesson.mse, lesson.model):
        assert re.match(r"wrong: it is \S+ and should be \S+ at", row.verdict)


def test_a_gradient_that_is_not_finite(lesson):
    dw1, *others = lesson.by_hand()
    mine = [dw1 * np.nan, *others]
    found = verdicts(tg.compare(mine, lesson.mse, lesson.model))
    assert found["W1"] == "wrong: it has a NaN or an infinity"


def test_a_number_is_not_a_list_of_gradients(lesson):
    with pytest.raises(TypeError, match="compare: mine must be a list of arrays"):
        tg.compare(3.0, lesson.mse, lesson.model)


def test_an_element_that_where_leaves_out_spreads_no_nan():
    x = tg.Tensor([-1.0, 4.0], requires_grad=True, name="x")
    with np.errstate(invalid="ignore"):
        loss = tg.where(x.data > 0, tg.sqrt(x), 0.0).sum()
    (row,) = tg.compare([np.array([0.0, -0.25])], loss, [x])
    assert row.verdict == "wrong: its sign is flipped"


def test_a_function_without_a_return_is_told(lesson):
    with pytest.raises(TypeError, match="your function returned None; end it with a"):
        tg.compare(lambda: None, lesson.mse, lesson.model)


def test_after_a_gradient_that_nothing_explains_no_pair_is_sought(lesson):
    rng = np.random.default_rng(5)
    mine = [rng.standard_normal(g.shape) for g in lesson.by_hand()]
    for row in tg.compare(mine, lesson.mse, lesson.model):
        assert re.match(r"wrong: it is \S+ and should be \S+ at", row.verdict)


def test_a_parameter_that_plays_no_part_has_the_gradient_zero(lesson):
    other = tg.Tensor([1.0], requires_grad=True, name="other")
    comparison = tg.compare([np.zeros(1)], lesson.mse, [other])
    assert comparison


def test_float32_is_compared_more_loosely():
    w = tg.Tensor(np.ones(3, np.float32), requires_grad=True)
    loss = (w * w).sum()
    assert tg.compare([2.0001 * w.data], loss, [w])
    assert not tg.compare([2.0001 * w.data], loss, [w], rtol=1e-6)
    assert not tg.compare([2.0001 * w.data], loss, [w], rtol=0.0)


def test_it_prints_as_a_table(lesson):
    comparison = tg.compare(lesson.by_hand(), lesson.mse, lesson.model)
    assert str(comparison).splitlines()[0].split() == [
        "parameter",
        "shape",
        "relative_difference",
        "verdict",
        "lesson",
    ]


def test_a_gradient_that_is_not_there_yet(lesson):
    with pytest.raises(ValueError, match=r"for W1 is None; was backward\(\) called"):
        tg.compare(
            [p.grad for p in lesson.model.parameters()], lesson.mse, lesson.model
        )


@pytest.mark.parametrize("dtype", [complex, "U8"])
def test_a_gradient_of_no_real_numbers_is_refused(lesson, dtype):
    gradients = [g.astype(dtype) for g in lesson.by_hand()]
    with pytest.raises(TypeError, match=r"for W1 must be an array of real numbers"):
        tg.compare(gradients, lesson.mse, lesson.model)


def test_parts_of_one_name_are_told_apart_by_their_path():
    class Two(tg.nn.Module):
        def __init__(self):
            self.a, self.b = tg.nn.Linear(2, 2, rng=0), tg.nn.Linear(2, 1, rng=1)

        def forward(self, x):
            return self.b(tg.tanh(self.a(x)))

    model, x = Two(), np.ones((3, 2))
    loss = tg.losses.mse(model(x), np.zeros((3, 1)))
    loss.backward(retain_graph=True)
    mine = {path: p.grad for path, p in model.named_parameters().items()}
    comparison = tg.compare(mine, loss, model)
    assert comparison
    names = {"a.weight", "a.bias", "b.weight", "b.bias"}
    assert {row.parameter for row in comparison} == names


def test_paths_do_for_parameters_with_names_of_their_own(lesson):
    paths = lesson.model.named_parameters()
    mine = dict(zip(paths, lesson.by_hand(), strict=True))
    assert not paths.keys() & set(NAMES)
    for wrt in (lesson.model, paths):
        comparison = tg.compare(mine, lesson.mse, wrt)
        assert comparison
        assert verdicts(comparison).keys() == paths.keys()
    mine.popitem()
    with pytest.raises(ValueError, match=f"the parameters are {', '.join(paths)}$"):
        tg.compare(mine, lesson.mse, lesson.model)


def test_names_of_their_own_come_before_paths():
    a, b = (
        tg.Tensor(x, requires_grad=True, name=n) for x, n in ((2.0, "b"), (3.0, "a"))
    )
    crossed = tg.nn.Module()
    crossed.a, crossed.b = a, b
    assert tg.compare({"b": 4.0, "a": 27.0}, a**2 + b**3, crossed)


@pytest.mark.parametrize(
    ("mine", "text"),
    [
        ([np.zeros(3)], "1 arrays for 4 parameters: W1, W2, b1, b2"),
        (
            {"W1": np.zeros(3)},
            "the gradients are for W1, and the parameters are W1, W2",
        ),
    ],
)
def test_an_array_is_wanted_for_each_parameter(lesson, mine, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        tg.compare(mine, lesson.mse, lesson.model)


@pytest.mark.parametrize(
    "loss", [3.0, tg.Tensor(1.0), tg.Tensor([1.0, 2.0], requires_grad=True)]
)
def test_a_loss_is_one_number_that_depends(lesson, loss):
    with pytest.raises(ValueError, match="the loss must be a Tensor with one number"):
        tg.compare(lesson.by_hand(), loss, lesson.model)


def test_numbers_with_three_digits_are_compared_with_a_loose_tolerance():
    """Zero is not near a small gradient, and a pair of slips would fit by chance."""
    x = tg.Tensor(0.02, requires_grad=True, name="x")
    z = x * x
    loss = z * z
    right = 4 * 0.02**3

    def verdict(mine, **how):
        (row,) = tg.compare([mine], loss, [x], rtol=5e-3, **how)
        return row.verdict

    assert verdict(round(right, 7)) == "right"
    assert verdict(-right) == "wrong: its sign is flipped"
    assert verdict(1.3 * right, reveal=False) == "wrong: no common slip explains it"


class Tanh:
    """A regression with tanh, written in ops: z1 = x W1 + b1, z2 = a1 W2 + b2."""

    def __init__(self, sizes=(3, 4, 2), examples=5, dtype=float, names=NAMES):
        rng = np.random.default_rng(2)
        n, m, k = sizes
        self.x = rng.standard_normal((examples, n)).astype(dtype)
        self.parameters = [
            tg.Tensor(
                rng.standard_normal(shape).astype(dtype), requires_grad=True, name=name
            )
            for shape, name in zip([(n, m), (m, k), m, k], names)
        ]
        w1, w2, b1, b2 = self.parameters
        z1 = self.x @ w1 + b1
        a1 = tg.tanh(z1)
        z2 = a1 @ w2 + b2
        self.loss = (z2**2).sum() / 2
        self.z1, self.a1, self.delta2, self.w2 = (t.data for t in (z1, a1, z2, w2))

    def by_hand(self, prime=None):
        a1, delta2 = self.a1, self.delta2
        delta1 = (delta2 @ self.w2.T) * (1 - a1**2 if prime is None else prime)
        return [
            self.x.T @ delta1,
            a1.T @ delta2,
            delta1.sum(axis=0),
            delta2.sum(axis=0),
        ]

    def compared(self, mine):
        return tg.compare(mine, self.loss, self.parameters)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("prime", "text"),
    [
        (lambda a, z: 1 - a**2, "right"),
        (lambda a, z: 1 - a, "wrong: a1 is not squared"),
        (
            lambda a, z: a * (1 - a),
            "wrong: the derivative of sigmoid is used in place of tanh'(z1)",
        ),
        (lambda a, z: 1.0, "wrong: tanh'(z1) is missing"),
    ],
)
def test_slips_with_tanh(dtype, prime, text):
    net = Tanh(dtype=dtype)
    found = verdicts(net.compared(net.by_hand(prime(net.a1, net.z1))))
    assert found["b1"] == text
    assert found["W2"] == found["b2"] == "right"


def test_any_factor_is_no_updated_weight():
    """With one neuron and one example, an updated weight only makes a factor."""
    net = Tanh((3, 1, 1), examples=1)
    dw1, dw2, db1, db2 = net.by_hand()
    found = verdicts(net.compared([0.37 * dw1, dw2, 0.37 * db1, db2]))
    for name in ("W1", "b1"):
        assert found[name].startswith("wrong: it is 0.37 times what it should be: ")
    found = verdicts(net.compared([dw1 * np.pi, dw2, db1, db2]))
    assert re.match(r"wrong: it is \S+ and should be", found["W1"])


def test_two_slips_are_not_believed_for_a_lone_number():
    x, y = np.array([0.5, 1.0, -2.0, 0.3]), np.array([0.1, 0.7, 2.0, -1.0])
    w, b = (
        tg.Tensor(v, requires_grad=True, name=n) for v, n in ((0.3, "w"), (-0.2, "b"))
    )
    loss = ((x * w + b - y) ** 2).mean()
    found = verdicts(tg.compare([0.123, 0.5], loss, [w, b]))
    assert re.match(r"wrong: it is 0.5 and should be \S+", found["b"])


def test_gradients_that_changed_places_are_told_without_a_doubt():
    net = Tanh((3, 3, 3))
    dw1, dw2, db1, db2 = net.by_hand()
    found = verdicts(net.compared([dw1, dw2, db2, db1]))
    assert found["b2"] == "wrong: delta1 is used in place of delta2"
    assert found["b1"] == "wrong: delta2 is used in place of delta1"


def test_a_parameter_without_a_name_is_called_as_its_row():
    def loss_of(x, w, b):
        return (tg.tanh(x @ w + b) ** 2).sum() / 2

    rng = np.random.default_rng(4)
    x, w, b = (rng.standard_normal(shape) for shape in ((5, 3), (3, 2), 2))
    leaves = [tg.Tensor(value, requires_grad=True) for value in (w, b)]
    a = np.tanh(x @ w)
    delta = a * (1 - a**2)
    found = tg.compare([x.T @ delta, delta.sum(axis=0)], loss_of(x, *leaves), leaves)
    text = "wrong: parameter 1 is left out of the forward pass"
    assert text in verdicts(found).values()


def test_a_state_of_zeros_is_not_used_in_place_of_another():
    rng = np.random.default_rng(6)
    w = rng.standard_normal((3, 3))
    xs = rng.standard_normal((2, 4, 3))
    leaf = tg.Tensor(w, requires_grad=True, name="W")
    h1 = tg.tanh(xs[0] + np.zeros((4, 3)) @ leaf)
    h2 = tg.tanh(xs[1] + h1 @ leaf)
    loss = h2.sum()
    (row,) = tg.compare([np.zeros((3, 3))], loss, [leaf])
    assert "zeros" not in row.verdict
    assert re.match("wrong: (the path through|it is zero)", row.verdict)


def test_a_right_derivation_is_right_where_its_terms_cancel():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 200)), rng.standard_normal(300)
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    w = tg.Tensor(best, requires_grad=True, name="w")
    loss = ((x @ w - y) ** 2).mean()
    error = x @ best - y
    by_rows = sum(2 / 300 * e * row for e, row in zip(error, x))
    assert np.abs(by_rows).max() < 1e-14
    assert tg.compare([by_rows], loss, [w])
    assert not tg.compare([by_rows + 1e-9], loss, [w])


def test_what_is_near_a_forward_difference_is_none():
    w = tg.Tensor(0.7, requires_grad=True, name="w")
    slope = (np.exp(0.08) - np.exp(0.07)) / 0.1
    (row,) = tg.compare([slope], tg.exp(w / 10), [w])
    assert "forward difference with the step 0.1" in row.verdict
    (row,) = tg.compare([slope + 2e-5], tg.exp(w / 10), [w])
    assert row.verdict.startswith("wrong: it is")


def test_weights_of_zero_do_not_make_slips_the_same():
    x, y = np.random.default_rng(1).random((4, 3)), np.array([[0.0], [1], [0], [1]])
    w = tg.Tensor(np.zeros((3, 1)), requires_grad=True, name="W")
    a = tg.sigmoid(x @ w)
    loss = -(y * tg.log(a) + (1 - y) * tg.log(1 - a)).mean()
    (row,) = tg.compare([x.T @ (a.data - y)], loss, [w])  # sigma'(0) is 1/4, too
    assert "it is 4 times too large: divide by the length of an axis" in row.verdict
    assert "these numbers cannot tell; try W with other numbers" in row.verdict


def test_a_gradient_that_vanishes_is_not_zero():
    w = tg.Tensor([0.5, -2.0], requires_grad=True, name="w")
    loss = 1e-12 * (w**3).sum()
    right = 3e-12 * w.data**2
    (row,) = tg.compare([-right], loss, [w])
    assert row.verdict == "wrong: its sign is flipped"
    (row,) = tg.compare([0 * right], loss, [w])
    assert row.verdict == "wrong: it is zero"
    assert tg.compare([right], loss, [w])


def test_a_tolerance_may_be_larger_than_the_gradient():
    w = tg.Tensor(np.linspace(1, 2, 1000), requires_grad=True, name="w")
    (row,) = tg.compare([-9 * np.sin(w.data * 40)], (w * w).sum() / 2, [w], rtol=3.0)
    assert re.match(r"wrong: it is -?\d\.\d+ and should be \d", row.verdict)
