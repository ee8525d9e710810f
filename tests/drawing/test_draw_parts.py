"""The rooms of draw: modules, repeats, words and widths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.drawing.measure import mono_width, width
from tinygrad_edu.drawing.modules import common, modules_of, outwards
from tinygrad_edu.drawing.picture import picture_of
from tinygrad_edu.drawing.repeats import LIMIT, SMALL, spans_to_hide
from tinygrad_edu.drawing.words import SPACE, describe, number_text
from tinygrad_edu.engine.graph import topological_order
from tinygrad_edu.formulas.naming import names_of
from tinygrad_edu.support.printable import shorten

# --- Modules --------------------------------------------------------------------------


class Scale(tg.nn.Module):
    def __init__(self):
        self.weight = tg.Tensor([2.0, 3.0], requires_grad=True, name="weight")

    def forward(self, x):
        return tg.sin(x * self.weight)


class Twice(tg.nn.Module):
    def __init__(self):
        self.parts = [Scale(), Scale()]

    def forward(self, x):
        first, second = self.parts
        return second(first(x)) + first(x)


def frames_of(y):
    """For each box in order, the names of the modules around it, outermost first."""
    picture = picture_of(y, names_of(y))
    return [
        "/".join(module.name for module in outwards(box.module))
        for box in picture.boxes
    ]


def test_what_a_module_computes_is_in_its_frame():
    x = tg.Tensor([1.0, 1.0], requires_grad=True, name="x")
    y = Scale()(x).sum()
    #                     x   weight   x * w    sin(...)  sum
    assert frames_of(y) == ["", "Scale", "Scale", "Scale", ""]


def test_what_a_module_is_called_on_does_not_belong_to_it():
    x = tg.Tensor([1.0, 1.0], requires_grad=True, name="x")

    class Outer(tg.nn.Module):
        def __init__(self):
            self.inner = Scale()

        def forward(self, x):
            return self.inner(x)

    assert frames_of(Outer()(x)) == ["", *["Scale/Outer"] * 3]


def test_nothing_that_a_module_is_called_on_belongs_to_it():
    class Bilinear(tg.nn.Module):
        def __init__(self):
            self.weight = tg.Tensor([2.0, 3.0], requires_grad=True)

        def forward(self, x, y, *more, scale):
            return x * y * more[0] * scale * self.weight

    a, b, c, d = (tg.Tensor([1.0, 1.0], requires_grad=True, name=n) for n in "abcd")
    frames = frames_of(Bilinear()(a, b, c, scale=d))
    weight, answer = "Bilinear", "Bilinear"
    assert frames.count("") == 4
    assert frames[-2:] == [weight, answer]


def test_a_function_in_a_row_has_a_frame_with_its_name():
    layers = tg.nn.Sequential(Scale(), tg.relu, lambda x: x * 2, np.tanh)
    frames = frames_of(layers(np.ones(2)))
    inner = ["Scale"] * 3 + ["relu", "<lambda>", "tanh"]
    assert [f for f in frames if f] == [f"{name}/Sequential" for name in inner]


def test_modules_nest_and_a_part_called_twice_is_two_frames():
    x = np.ones(2)
    picture = picture_of(Twice()(x))
    assert [module.name for module in picture.modules] == ["Twice", *["Scale"] * 3]
    twice = picture.modules[0]
    assert [module.outer for module in picture.modules] == [None, *[twice] * 3]
    parameters = [box.module for box in picture.boxes if box.kind == "parameter"]
    # The first is used in two calls, the second in one.
    assert parameters == [twice, picture.modules[2]]
    assert picture.boxes[-1].module is picture.modules[0]


def test_a_parameter_that_is_used_elsewhere_stands_outside():
    scale = Scale()
    y = (scale(np.ones(2)) + scale.weight).sum()
    picture = picture_of(y)
    (weight,) = (box for box in picture.boxes if box.kind == "parameter")
    assert weight.module is None


def test_logits_are_computed_in_the_network():
    model = tg.nn.MLP([2, 3, 1], rng=0)
    for output in (model.logits(np.ones((4, 2))), model(np.ones((4, 2)))):
        picture = picture_of(output)
        assert [module.name for module in picture.modules] == ["MLP"]
        outside = [box for box in picture.boxes if box.module is None]
        assert [box.kind for box in outside] == ["constant"]


def test_what_a_module_calls_of_itself_is_the_same_call():
    class Network(tg.nn.MLP):
        def forward(self, x):
            return tg.tanh(self.logits(x))

    picture = picture_of(Network([2, 1], rng=0)(np.ones((4, 2))))
    assert [module.name for module in picture.modules] == ["Network"]
    assert picture.boxes[-1].module is picture.modules[0]


def test_all_that_a_module_gives_remembers_it():
    class Both(tg.nn.Module):
        def forward(self, x):
            return [tg.sin(x), (tg.cos(x), 3.0)[0], "and this"]

    class Inside(tg.nn.Module):
        def __init__(self):
            self.both = Both()

        def forward(self, x):
            a, b, _ = self.both(x)
            return a, b * 2

    a, b = Inside()(tg.Tensor([1.0], requires_grad=True))
    assert frames_of(a + b) == ["", *["Both/Inside"] * 2, "Inside", ""]


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: x,
        lambda self, x: self.weight,
        lambda self, x: 3.0,
        lambda self, x: tg.Tensor(2.0),
    ],
    ids=["its input", "a parameter", "a number", "a constant"],
)
def test_a_module_that_computes_nothing_has_no_frame(forward):
    kind = type("Idle", (Scale,), {"forward": forward})
    y = tg.Tensor([1.0], requires_grad=True) * 2
    assert "Idle" not in "".join(frames_of(y * kind()(y)))


def test_a_value_of_a_part_may_be_what_the_whole_gives():
    """Then the part's call ends after the output of the whole."""

    class Keeping(tg.nn.Module):
        def forward(self, x):
            self.kept = tg.sin(x)
            return tg.cos(self.kept)

    class Whole(tg.nn.Module):
        def __init__(self):
            self.part = Keeping()

        def forward(self, x):
            self.last = self.part(x)
            return self.part.kept

    whole = Whole()
    y = whole(tg.Tensor([1.0], requires_grad=True)) * 2
    assert frames_of(y + whole.last) == ["", "Keeping/Whole", "", "", ""]


def test_under_no_grad_nothing_is_remembered():
    with tg.no_grad():
        y = Scale()(np.ones(2))
    assert frames_of(y) == [""]
    assert not hasattr(y, "calls")


def test_the_common_module_is_the_innermost_around_all():
    inside = modules_of(topological_order(Twice()(np.ones(2)))[::-1])
    modules = {module for module in inside.values() if module is not None}
    whole, first, second, third = sorted(modules, key=lambda module: module.key)
    assert common([third, third]) is third
    assert common([first, third]) is whole
    assert common([first, whole, second]) is whole
    assert common([first, None]) is None


# --- Repeats --------------------------------------------------------------------------


def computed(y):
    return [node for node in topological_order(y)[::-1] if node.op is not None]


def hidden(y, **how):
    nodes = computed(y)
    looks = [(node.op.name, node.data.shape) for node in nodes]
    return [tuple(span) for span in spans_to_hide(nodes, looks, **how)]


def chain(n):
    y = tg.Tensor(1.0, requires_grad=True)
    for _ in range(n):
        y = y * 1.0001
    return y


def test_a_chain_is_its_first_and_its_last_link():
    assert hidden(chain(SMALL)) == []
    assert hidden(chain(SMALL + 1)) == [(1, SMALL, 1)]
    boxes = picture_of(chain(500)).boxes
    assert [box.kind for box in boxes] == ["parameter", "computed", "more", "result"]
    assert boxes[2].name == "… 498 more like this …"
    assert boxes[2].inputs == (boxes[1].key,)
    assert boxes[3].inputs == (boxes[2].key,)
    assert len(picture_of(chain(100), collapse=False).boxes) == 101


def test_layers_with_parameters_of_their_own_repeat():
    layers = [tg.nn.Linear(3, 3, rng=0) for _ in range(40)]
    h = np.ones((2, 3))
    for layer in layers:
        h = tg.sigmoid(layer(h))
    picture = picture_of(h.sum())
    assert [box.name for box in picture.boxes if box.kind == "more"] == [
        "… 38 more like this …"
    ]
    assert sum(box.kind == "parameter" for box in picture.boxes) == 4
    assert [module.name for module in picture.modules] == ["Linear", "Linear"]


@pytest.mark.parametrize("h", [np.zeros(3), tg.Tensor(np.zeros(3), requires_grad=True)])
def test_an_unrolled_recurrent_network_repeats(h):
    w = tg.Tensor(np.eye(3), requires_grad=True)
    u = tg.Tensor(np.eye(3), requires_grad=True)
    losses = []
    for x in np.random.default_rng(0).standard_normal((50, 3)):
        h = tg.tanh(x @ u + h @ w)
        losses.append(tg.squared_norm(h))
    picture = picture_of(sum(losses))
    assert [box.name for box in picture.boxes if box.kind == "more"] == [
        "… 48 more like this …",
        "… 47 more like this …",  # the first sum starts from 0, the number
    ]
    parameters = {box.key for box in picture.boxes if box.kind == "parameter"}
    (turns, sums) = (box for box in picture.boxes if box.kind == "more")
    assert {w.index, u.index} <= parameters & set(turns.inputs)
    assert len(turns.inputs) == len(set(turns.inputs)) == 3
    assert turns.key in sums.inputs


def test_an_opened_picture_shows_the_middle_turn_too():
    w = tg.Tensor(np.eye(3), requires_grad=True)
    h = np.ones(3)
    xs = np.random.default_rng(0).standard_normal((50, 3))
    for x in xs:
        h = tg.tanh(x + h @ w)
    y = h.sum()
    closed, opened = (picture_of(y, opened=opened) for opened in (False, True))
    (turns,) = closed.folds.values()
    assert [x.op.name for x in turns[0]] == ["matmul", "add", "tanh"]
    before, after = opened.folds.values()
    assert (len(turns), len(before), len(after)) == (48, 24, 23)
    assert [*before, turns[24], *after] == turns
    assert opened.numbers == closed.numbers
    assert {x.index for x in turns[24]} <= opened.sources.keys()
    assert not {x.index for x in turns[24]} & closed.sources.keys()
    shown = [x for x in opened.sources.values() if isinstance(x, np.ndarray)]
    assert any(np.array_equal(x, xs[25]) for x in shown)


def test_of_two_hidden_turns_both_are_opened_and_other_ops_stay():
    y = tg.Tensor(0.5, requires_grad=True)
    for _ in range(4):
        for f in (tg.sin, tg.cos, tg.tanh, tg.exp, tg.sigmoid, tg.sin, tg.sqrt):
            y = f(y)
    assert len(picture_of(y).boxes) == 1 + 14 + 1
    opened = picture_of(y, opened=True)
    assert (len(opened.boxes), opened.folds) == (1 + 28, {})
    ops = [tg.sin, tg.cos, tg.tanh, tg.sigmoid]
    for i in np.random.default_rng(0).integers(0, 4, 300):
        y = ops[i](y)
    *_, key = picture_of(y).folds
    ((same, turns),) = picture_of(y, opened=True).folds.items()
    assert (same, len(turns)) == (key, 1)


step = st.tuples(st.sampled_from([tg.add, tg.subtract, tg.sin]), st.integers(0, 2))


def run_steps(y, steps, shared, anew):
    for op, which in steps:
        other = [y, shared, anew][which]
        y = op(y) if op is tg.sin else op(y, other)
    return y


@given(
    body=st.lists(step, min_size=1, max_size=6),
    before=st.lists(step, max_size=6),
    after=st.lists(step, max_size=6),
    turns=st.integers(SMALL + 4, 60),
)
@settings(deadline=None)
def test_what_a_loop_does_is_shown_twice_at_most(body, before, after, turns):
    shared = tg.Tensor([0.1], requires_grad=True)
    y = run_steps(tg.Tensor([1.0], requires_grad=True), before, shared, [0.2])
    for _ in range(turns):
        y = run_steps(y, body, shared, tg.Tensor([0.3]))
    y = run_steps(y, after, shared, [0.2])
    nodes = computed(y)
    spans = hidden(y)
    shown = len(nodes) - sum(stop - start for start, stop, _ in spans)
    assert shown <= len(before) + len(after) + 3 * len(body)
    check_spans(nodes, spans)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([tg.add, tg.subtract, tg.sin]),
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        min_size=SMALL + 1,
        max_size=80,
    )
)
@settings(deadline=None)
def test_only_what_repeats_is_hidden(steps):
    values = [tg.Tensor([1.0], requires_grad=True), np.array([0.5])]
    for op, i, j in steps:
        a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
        values.append(op(a) if op is tg.sin else op(a, b))
    y = sum(values[1:], values[0])
    check_spans(computed(y), hidden(y))


def check_spans(nodes, spans):
    """Each hidden turn does the same as the turn before and the one after it.

    The plain way: op by op and input by input. Inputs are told by the order in which
    values appear, and from turn to turn they all move on by the same stride.
    """
    numbers = {}
    wiring = []
    for node in nodes:
        wiring.append([numbers.setdefault(id(x), len(numbers)) for x in node.inputs])
        numbers[id(node)] = len(numbers)
    before = 0
    for start, stop, period in spans:
        assert before <= start - period
        assert (stop - start) % period == 0
        assert (stop - start) // period >= 2
        for i in range(start, stop):
            follower = i + period
            assert nodes[i].op is nodes[follower].op
            assert nodes[i].op is nodes[i - period].op
            if i + 2 * period < stop + period:
                steps = zip(wiring[i], wiring[follower], wiring[follower + period])
                assert all(b - a == c - b for a, b, c in steps)
        before = stop + period


def test_numbers_may_differ_from_turn_to_turn():
    y = x = tg.Tensor(0.5, requires_grad=True)
    for n in range(2, 40):
        y = y + x**n / n
    (more,) = (box for box in picture_of(y).boxes if box.kind == "more")
    assert more.name == "… 36 more like this …"
    assert more.value == ("power, divide, add",)


def test_what_differs_in_shape_or_module_is_no_repeat():
    def body(i, y):
        return tg.reshape(y, (6,) if i == 20 else (2, 3) if i % 2 else (3, 2))

    y = tg.Tensor(np.ones((3, 2)), requires_grad=True)
    for i in range(40):
        y = body(i, y)
    spans = hidden(y)
    assert all(not start <= 20 < stop for start, stop, _ in spans)
    assert len(spans) == 2

    y = tg.Tensor(np.ones(2), requires_grad=True)
    for i in range(30):
        y = Scale()(y) if i == 15 else tg.sin(y * tg.Tensor([1.0, 2.0]))
    picture = picture_of(y)
    assert [box.name for box in picture.boxes if box.kind == "more"] == [
        "… 13 more like this …",
        "… 12 more like this …",
    ]
    assert len(picture.modules) == 1


def test_of_a_large_graph_without_repeats_the_middle_is_left_out():
    rng = np.random.default_rng(0)
    ops = [tg.sin, tg.cos, tg.tanh, tg.sigmoid]
    y = tg.Tensor(0.5, requires_grad=True)
    for i in rng.integers(0, 4, 1000):
        y = ops[i](y)
    picture = picture_of(y)
    (more,) = (box for box in picture.boxes if box.kind == "more")
    left_out = 1000 - LIMIT
    assert more.name == f"… {left_out} more ops …"
    assert len(picture.boxes) == LIMIT + 2
    assert set(more.value[0].split(", ")) == {"sin", "cos", "tanh", "sigmoid"}
    assert picture.boxes[-1].key == y.index


def test_repeats_in_the_middle_are_left_out_with_it():
    rng = np.random.default_rng(0)
    ops = [tg.sin, tg.cos, tg.tanh, tg.sigmoid]
    y = tg.Tensor(0.5, requires_grad=True)
    for i in (*rng.integers(0, 4, 300), *[0] * 100, *rng.integers(0, 4, 300)):
        y = ops[i](y)
    assert [period for *_, period in hidden(y)] == [0]
    spans = hidden(y)
    assert sum(stop - start for start, stop, _ in spans) == len(computed(y)) - LIMIT


def test_a_graph_of_100_000_links_is_drawn():
    """Without recursion, and not in quadratic time."""
    y = chain(100_000)
    assert tg.draw(y).svg.count('class="node data') == 4
    h = x = tg.Tensor([0.5], requires_grad=True)
    for i in range(20_000):
        h = tg.sigmoid(tg.linear(h, np.array([[0.5]]), x)) if i % 97 else tg.sin(h)
    assert len(picture_of(h, names_of(h)).boxes) < 3 * LIMIT


def test_an_op_of_many_inputs_is_unlike_any_other():
    x = tg.Tensor([1.0], requires_grad=True)
    y = x
    for _ in range(30):
        y = tg.sin(tg.concatenate([y] + [x] * 9)[:1])
    assert hidden(y) == []


# --- Words ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (3.0, ["3"]),
        (0.123456, ["0.1235"]),
        (True, ["True"]),
        (7, ["7"]),
        ([1.0, 2.5], ["1  2.5"]),
        ([[1, 10], [100, 2]], ["  1  10", "100   2"]),
        ([[1.0]] * 4, ["1"] * 4),
        ([[1.0]] * 5, ["all 1"]),
        (range(5), ["0 to 4"]),
        (np.ones((2, 2, 2)), ["all 1"]),
        ([[True, False]], ["True  False"]),
        ([True, False, True, True, True], ["4 of 5 True"]),
        ([], ["empty"]),
        (np.ones((0, 3)), ["empty"]),
        ([1e-5, 2.0], ["1e-05  2"]),
        ([1e-5, 2e-5], ["1e-05  2e-05"]),
        ([np.nan, 1.0], ["nan  1"]),
        ([np.nan] * 9, ["has nan"]),
        ([-np.inf, 1, 2, 3, 4], ["-inf to 4"]),
    ],
)
def test_values_are_written_so(value, lines):
    written = describe(np.asarray(value))
    assert [line.replace(SPACE, " ") for line in written] == lines


def test_numbers_are_short():
    assert number_text(np.float32(1) / 3) == "0.3333"
    assert number_text(1e-9) == "1e-09"
    assert number_text(123456.0) == "1.235e+05"


# --- Widths ---------------------------------------------------------------------------


@given(st.text(max_size=40), st.integers(5, 30))
@settings(deadline=None)
def test_what_is_shortened_keeps_its_ends(text, length):
    short = shorten(text, length)
    assert len(short) == min(len(text), length)
    if short != text:
        head, tail = short.split("…", 1) if text.count("…") == 0 else ("", "")
        assert text.startswith(head)
        assert text.endswith(tail)


def glyph_widths(path, characters):
    from matplotlib.ft2font import FT2Font

    font = FT2Font(path)
    font.set_size(100, 72)
    for character in characters:
        yield character, font.load_char(ord(character)).linearHoriAdvance / 6_553_600


def test_no_common_character_is_wider_than_thought():
    """DejaVu, which Matplotlib brings, is the widest of the fonts asked for."""
    from matplotlib import get_data_path

    characters = "".join(map(chr, range(33, 127))) + "×−…·äéñλσ"
    folder = f"{get_data_path()}/fonts/ttf"
    for font, bold in ("DejaVuSans.ttf", False), ("DejaVuSans-Bold.ttf", True):
        for character, wide in glyph_widths(f"{folder}/{font}", characters):
            assert wide <= width(character, 1, bold=bold), character
    for character, wide in glyph_widths(f"{folder}/DejaVuSansMono.ttf", characters):
        assert wide <= mono_width(character, 1), character


def test_wide_characters_take_their_room_and_accents_none():
    assert width("漢字", 10) > width("ab", 10)
    assert width("e\u0301", 10) == width("e", 10)
