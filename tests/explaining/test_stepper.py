"""The page: what it says of itself, and what it shows in a real browser."""

import json
import os
import re
from base64 import b64encode
from hashlib import sha256

import numpy as np
import pytest
from chromium import AXE, expect, in_browser, needs_axe
from hypothesis import given, settings
from leaves import leaf
from random_graphs import graphs

import tinygrad_edu as tg
from tinygrad_edu.engine.graph import topological_order, value_of

PHONE = {"width": 390, "height": 844}


def cube():
    x = leaf(3.0, "x")
    z = x * x
    z.name = "z"
    y = z * x
    y.name = "y"
    return y


def network(sizes=(2, 3, 1), n=4, dtype=np.float64):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, sizes[0])).astype(dtype)
    y = rng.random((n, sizes[-1])).astype(dtype)
    with tg.debug():
        loss = tg.losses.mse(tg.nn.MLP(sizes, rng=0, dtype=dtype)(x), y)
    loss.name = "loss"
    return loss


def leaves_of(y):
    """Find the gradients of the leaves, by name; leave none behind."""
    y.backward(retain_graph=True)
    leaves = [x for x in topological_order(y) if x.requires_grad and x.op is None]
    gradients = {x.name: x.grad.numpy() for x in leaves}
    for x in leaves:
        x.zero_grad()
    return gradients


def model_of(path):
    """Read back what a page knows."""
    return json.loads(
        re.search(r'id="model">(.*?)</script>', path.read_text("utf-8"), re.S)[1]
    )


# --- The file -------------------------------------------------------------------------


def test_the_answer_is_the_path_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tg.step_through(cube())
    assert str(path) == "page.html"
    assert path.read_text("utf-8").startswith("<!doctype html>")
    other = tg.step_through(cube(), str(tmp_path / "other.html"))
    assert other == tmp_path / "other.html"
    assert sorted(os.listdir(tmp_path)) == ["other.html", "page.html"]


def test_a_page_that_is_there_is_replaced(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    assert "old" not in tg.step_through(leaf(1.0) * 2.0, path).read_text("utf-8")[:9]


def test_the_page_speaks_of_no_other_file(tmp_path):
    text = tg.step_through(network(), tmp_path / "page.html").read_text("utf-8")
    addresses = set(re.findall(r"\w+://[^\"'\s)]*", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|url\(|\bsrc=|<iframe|<object|eval\(|fetch\(", text)


def test_only_the_programs_own_hash_is_allowed_to_run(tmp_path):
    text = tg.step_through(cube(), tmp_path / "page.html").read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy


@pytest.mark.parametrize(
    ("sizes", "n"), [((2, 3, 1), 4), ((784, 30, 10), 10), ((784, 100, 10), 128)]
)
def test_the_page_of_a_network_is_under_1_mb(tmp_path, sizes, n):
    path = tg.step_through(network(sizes, n, np.float32), tmp_path / "page.html")
    assert path.stat().st_size < 1_000_000
    reduced = {
        tuple(a["shape"]) for a in model_of(path)["arrays"] if a["steps"] != [1, 1]
    }
    assert reduced == ({(128, 784), (100, 784)} if n == 128 else set())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_of_xor_is_under_150_kb(tmp_path, lang):
    path = tg.step_through(network(), tmp_path / "page.html", lang=lang)
    assert path.stat().st_size < 150_000


# --- Nothing else changes -------------------------------------------------------------


@given(graphs())
@settings(max_examples=30, deadline=None)
def test_the_graph_is_as_it_was(tmp_path_factory, y):
    nodes = topological_order(y)
    before = [(n.op, n.inputs, n.params, n.grad, n.data.tobytes()) for n in nodes]
    tg.step_through(y, tmp_path_factory.mktemp("pages") / "page.html")
    after = [(n.op, n.inputs, n.params, n.grad, n.data.tobytes()) for n in nodes]
    for old, new in zip(before, after):
        assert old[0] is new[0]
        assert [*map(id, old[1])] == [*map(id, new[1])]
        assert old[2:] == new[2:]
    y.backward()


def test_a_gradient_that_is_there_stays_and_is_not_counted(tmp_path):
    x = leaf(3.0, "x")
    (x * x).backward()
    grad = x.grad
    path = tg.step_through(x * 5.0, tmp_path / "page.html")
    assert x.grad is grad
    assert grad.item() == 6.0
    assert "so its gradient" not in path.read_text("utf-8")
    assert model_of(path)["nodes"][0]["name"] == "x"


def test_it_works_within_no_grad_and_debug(tmp_path):
    y = cube()
    with tg.no_grad(), tg.debug():
        model = model_of(tg.step_through(y, tmp_path / "page.html"))
    assert len(model["steps"]) == 9


# --- Errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (lambda: 3.0, TypeError, "it takes a Tensor, and this is of type float"),
        (lambda: leaf([1.0, 2.0]) * 2.0, ValueError, r"shape \(2,\), .*sum\(\) it"),
        (lambda: tg.Tensor(1.0) * 2.0, ValueError, "requires_grad=True"),
    ],
)
def test_what_has_no_backward_pass_is_refused(tmp_path, y, error, message):
    with pytest.raises(error, match=f"^step_through: .*{message}"):
        tg.step_through(y(), tmp_path / "page.html")
    assert os.listdir(tmp_path) == []


def test_a_released_graph_is_refused(tmp_path):
    y = cube()
    y.backward()
    with pytest.raises(ValueError, match=r"^step_through: .*retain_graph=True"):
        tg.step_through(y, tmp_path / "page.html")


def test_a_graph_that_nobody_would_walk_through_is_refused(tmp_path):
    y = leaf(1.0)
    for _ in range(1001):
        y = -y
    with pytest.raises(ValueError, match=r"this graph has 1001 ops, .* at most 1000"):
        tg.step_through(y, tmp_path / "page.html")


def test_a_missing_folder_is_named(tmp_path):
    folder = tmp_path / "none"
    with pytest.raises(FileNotFoundError, match=rf"no folder {folder}; create it"):
        tg.step_through(cube(), folder / "page.html")


@pytest.mark.parametrize("name", [3, ["a"], "\ud800"])
def test_whatever_a_name_was_set_to_a_page_is_written(tmp_path, name):
    x = leaf(2.0)
    y = x * x
    x.name = y.name = name
    called = {"3": {"3", "3_2"}, "['a']": {"['a']", "['a']_2"}}
    model = model_of(tg.step_through(y, tmp_path / "page.html"))
    names = {node["name"] for node in model["nodes"]}
    assert names == called.get(str(name), {"x", "y"})


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError, match=r"^step_through: .*page\.html cannot be written"):
        tg.step_through(cube(), tmp_path / "page.html")
    assert os.listdir(tmp_path) == ["page.html"]


# --- In a browser ---------------------------------------------------------------------


def state(page):
    """Take down all that the page shows at a step."""
    return page.evaluate(
        """() => {
            const picture = document.querySelector("#picture svg").cloneNode(true);
            for (const box of picture.querySelectorAll(".node:not(.graded) .gradient"))
                box.remove();  // not seen; its place is kept
            const controls = [...document.querySelectorAll("#controls button")];
            return [
                picture.outerHTML,
                document.querySelector("#panel").innerText,
                document.body.dataset.pass,
                document.querySelector("#scrubber").value,
                controls.map((button) => button.disabled),
            ];
        }"""
    )


def step_of(page):
    number, of = map(int, re.findall(r"\d+", page.inner_text("#count")))
    return number - 1, of


def box(page, name):
    return page.locator(
        f"#picture :is([aria-label^='{name} '], [aria-label^='{name},'])"
    )


def read_number(text):
    return float(text.replace("\u2212", "-"))


def read_table(locator):
    rows = locator.locator("tr").all()
    return [
        [read_number(cell) for cell in row.locator("td").all_inner_texts()]
        for row in rows
    ]


def read_figures(locator):
    """Read the tables of a panel: title and numbers."""
    return [
        (
            figure.locator("figcaption").evaluate("e => e.firstChild.textContent"),
            np.array(read_table(figure.locator("table"))),
        )
        for figure in locator.locator("figure").all()
    ]


@in_browser
def test_each_step_looks_the_same_from_whatever_side_one_comes(show):
    page = show(network())
    last = step_of(page)[1] - 1
    forward = [state(page)]
    for number in range(1, last + 1):
        page.click("#forward")
        assert step_of(page)[0] == number
        forward.append(state(page))
    assert len({json.dumps(s) for s in forward}) == last + 1
    for number in range(last - 1, -1, -1):
        page.click("#back")
        assert state(page) == forward[number]
    for number in (last // 2, 1, last, last - 3, 0):
        page.fill("#scrubber", str(number))
        assert state(page) == forward[number]


@in_browser
def test_the_keyboard_steps(show):
    page = show(cube())
    for key, number in [
        *(("ArrowRight", i) for i in (1, 2, 3)),
        ("ArrowLeft", 2),
        ("End", 8),
        ("ArrowRight", 8),
        ("ArrowLeft", 7),
        ("Home", 0),
        ("ArrowLeft", 0),
    ]:
        page.keyboard.press(key)
        assert step_of(page) == (number, 9)
    page.keyboard.press("Control+ArrowRight")
    assert step_of(page) == (0, 9)
    page.focus("#scrubber")
    page.keyboard.press("ArrowRight")
    assert step_of(page) == (1, 9)
    page.focus("#forward")
    page.keyboard.press("Space")  # it presses the button, and does not play
    assert step_of(page) == (2, 9)
    assert page.get_by_role("button", name="Play", exact=True).count() == 1


@in_browser
@pytest.mark.parametrize("how", ["click", "space", "space on the scrubber"])
def test_it_plays_to_the_end_and_again(show, how):
    page = show(cube(), clock=True)

    def toggle():
        if how == "click":
            page.click("#play")
        else:
            page.focus("#scrubber" if how.endswith("scrubber") else "body")
            page.keyboard.press("Space")

    toggle()
    assert page.get_by_role("button", name="Pause").count() == 1
    page.clock.run_for(3 * 1200 + 100)
    assert step_of(page)[0] == 3
    toggle()
    page.clock.run_for(5000)
    assert step_of(page)[0] == 3
    page.select_option("#speed select", "500")
    toggle()
    page.clock.run_for(5 * 500 + 100)
    assert step_of(page)[0] == 8
    assert page.get_by_role("button", name="Play", exact=True).count() == 1
    page.clock.run_for(5000)
    assert step_of(page)[0] == 8
    toggle()
    page.clock.run_for(600)
    assert step_of(page)[0] == 1
    page.keyboard.press("ArrowRight")  # whoever steps, stops it
    page.clock.run_for(5000)
    assert step_of(page)[0] == 2


@in_browser
def test_the_numbers_shown_are_the_engines(show):
    y = network()
    gradients = leaves_of(y)
    page = show(y)
    nodes = [n for n in reversed(topological_order(y)) if n.op is not None]
    for node in nodes:
        page.keyboard.press("ArrowRight")
        *_, (_, shown) = read_figures(page.locator("#figures"))
        np.testing.assert_allclose(shown, np.atleast_2d(node.data), rtol=5e-4)
    page.keyboard.press("End")
    shown = dict(read_figures(page.locator("#figures")))
    assert shown.keys() == {f"dloss/d{name}" for name in gradients}
    for name, gradient in gradients.items():
        of = np.atleast_2d(gradient)
        np.testing.assert_allclose(shown[f"dloss/d{name}"], of, rtol=5e-4)
        if gradient.size == 1:
            text = box(page, name).locator(".gradient .numbers").text_content()
            np.testing.assert_allclose(read_number(text), gradient, rtol=5e-4)


@in_browser
def test_a_sum_builds_up(show):
    page = show(cube())
    page.keyboard.press("End")
    shown = []
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
        figures = read_figures(page.locator("#figures"))
        gradient = box(page, "x").locator(".gradient .numbers")
        shown.append(
            (
                [(title, float(number.squeeze())) for title, number in figures],
                gradient.text_content() if gradient.is_visible() else None,
                "incomplete" in box(page, "x").get_attribute("class"),
            )
        )
    local = "\u2202z/\u2202x as {} factor = x"
    times_3 = [("dy/dz", 3.0), (local.format("first"), 3.0), ("contribution", 9.0)]
    again = [("dy/dz", 3.0), (local.format("second"), 3.0), ("contribution", 9.0)]
    times_9 = [("dy/dy", 1.0), ("\u2202y/\u2202x = z", 9.0), ("contribution", 9.0)]
    plus_9 = [("so far", 9.0), ("contribution", 9.0), ("dy/dx", 18.0)]
    and_again = [("so far", 18.0), ("contribution", 9.0), ("dy/dx", 27.0)]
    assert shown == [
        ([*again, *and_again], "27", False),
        ([*times_3, *plus_9], "18", True),
        (times_9, "9", True),
        ([("dy/dy", 1.0), ("dy/dz = x", 3.0), ("dy/dz", 3.0)], None, False),
    ]


@in_browser
def test_the_picture_shows_what_is_known_and_where_one_is(show):
    page = show(cube())

    def told():
        return [
            (
                name,
                box(page, name).locator(".value").is_visible(),
                box(page, name).locator(".gradient").is_visible(),
            )
            for name in "xzy"
        ]

    lit = page.locator("#picture .active, #picture .other, #picture .flowing")
    assert told() == [("x", True, False), ("z", False, False), ("y", False, False)]
    assert lit.count() == 0
    page.keyboard.press("ArrowRight")
    assert told() == [("x", True, False), ("z", True, False), ("y", False, False)]
    assert lit.count() == 5  # z, its op, x, and two edges from x
    page.fill("#scrubber", "3")
    assert told() == [("x", True, False), ("z", True, False), ("y", True, True)]
    z = box(page, "z").get_attribute("data-node")
    two_edges = page.locator(f"#picture .edge[data-to='{z}']")
    flowing = "edges => edges.map((edge) => edge.classList.contains('flowing'))"
    for number, expected in [("6", [True, False]), ("7", [False, True])]:
        page.fill("#scrubber", number)
        assert lit.count() == 4  # z, its op, x, and one of the two edges
        assert two_edges.evaluate_all(flowing) == expected
    weight = "e => getComputedStyle(e).fontWeight"
    assert page.locator("#backward-tab").evaluate(weight) == "600"
    assert page.locator("#forward-tab").evaluate(weight) == "400"


# --- Every operand in sight -----------------------------------------------------------


def marked(page):
    """Read the marked cells of each figure: their indices."""
    return page.locator("#figures figure").evaluate_all(
        """figures => figures.map((figure) => [...figure.querySelectorAll(".marked")]
            .map((cell) => cell.title.split(" = ")[0]).join(" "))"""
    )


def captions(page):
    return page.locator("#figures figcaption").evaluate_all(
        "captions => captions.map((caption) => caption.firstChild.textContent)"
    )


@in_browser
def test_a_cell_of_a_result_tells_what_it_was_made_of(show):
    y = network()
    linear = next(n for n in reversed(topological_order(y)) if n.op is not None)
    x, w, b, z = map(value_of, [*linear.inputs, linear])
    page = show(y)
    page.keyboard.press("ArrowRight")
    assert captions(page) == ["x", "W1\u1d40", "b1", "z1"]
    result = page.locator("#figures figure").last
    result.locator("td").nth(5).hover()
    cells = "[1, 0] [1, 1]", "[2, 0] [2, 1]", "[2]", "[1, 2]"
    assert marked(page) == list(cells)
    name, *numbers = re.split(r" [=+\u00d7] ", page.inner_text(".sum"))
    numbers = [read_number(number.strip("()")) for number in numbers]
    assert name == "z1[1, 2]"
    expected = [x[1, 0], w[2, 0], x[1, 1], w[2, 1], b[2], z[1, 2]]
    np.testing.assert_allclose(numbers, expected, rtol=6e-3)
    result.locator("td").nth(5).focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert marked(page)[-1] == "[0, 1]"
    assert step_of(page)[0] == 1


@in_browser
@pytest.mark.parametrize(
    ("wrt", "number", "signs", "notes", "sum_of"),
    [
        ("b1", 18, ["\u03a3", "="], ["its rows are added up", ""], 4),
        ("W1", 17, ["@", "="], ["transposed: rows became columns", "", ""], 4),
        ("W2", 14, ["@", "="], ["transposed: rows became columns", "", ""], 4),
        ("z1", 16, ["\u00d7", "\u00d7", "="], ["", "", "", ""], 1),
    ],
)
def test_how_a_gradient_is_computed_is_to_be_seen(
    show, wrt, number, signs, notes, sum_of
):
    page = show(network())
    page.fill("#scrubber", str(number))
    assert captions(page)[-1] == f"dloss/d{wrt}"
    assert page.locator("#figures .sign").all_inner_texts() == signs
    assert page.locator("#figures .note").all_text_contents() == notes
    text = page.inner_text(".sum")
    assert text.count(" + ") == sum_of - 1
    assert text.startswith(f"dloss/d{wrt}[")


@in_browser
def test_what_is_copied_added_or_called_says_so(show):
    x, row, column = (
        leaf(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), name)
        for shape, name in [((3, 2), "x"), (2, "row"), ((3, 1), "column")]
    )
    y = (tg.maximum(x * row - column, 1.0) ** 3).sum()
    y.name = "y"
    page = show(y)
    sums, notes = [], []
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        sums.append(page.inner_text(".sum"))
        notes += page.locator("#figures .note:not(:empty)").all_inner_texts()
    assert sums == [
        "t1[2, 1] = 6 \u00d7 2 = 12",
        "t2[2, 1] = 12 \u2212 3 = 9",
        "t3[2, 1] = maximum(9, 1) = 9",
        "t4[2, 1] = 9 \u00d7 9 \u00d7 9 = 729",
        "y = 1 + 27 + 1 + 216 + 8 + 729 = 982",
    ]
    assert notes == [
        "copied to each row",
        "copied to each column",
        "all of it is added up",
    ]


@in_browser
def test_a_heat_map_marks_the_row_and_the_column(show):
    page = show(network((12, 9, 10), 11))
    page.keyboard.press("ArrowRight")
    figures = page.locator("#figures figure")
    figures.last.locator("canvas[role]").focus()
    page.keyboard.press("ArrowDown")
    assert page.inner_text(".sum").startswith("z1[1, 0] = ")
    assert " more) + " in page.inner_text(".sum")
    rows = figures.locator(".marks").evaluate_all(
        """all => all.map((canvas) => {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            const at = [];
            data.forEach((alpha, i) => {
                if (i % 4 === 3 && alpha > 128) at.push(Math.floor(i / 4));
            });
            const [xs, ys] = [at.map((i) => i % width), at.map((i) => i / width)];
            return [xs, ys].flatMap((all, axis) => [Math.min(...all), Math.max(...all)]
                .map((edge) => edge / [width, height][axis]));
        })"""
    )
    x, w, b, z = (np.array(rectangle) for rectangle in rows)
    close = {"atol": 0.05}
    np.testing.assert_allclose(x, [0, 1, 1 / 11, 2 / 11], **close)  # row 1 of 11
    np.testing.assert_allclose(w, [0, 1 / 9, 0, 1], **close)  # column 0 of 9, turned
    np.testing.assert_allclose(b, [0, 1 / 9, 0, 1], **close)
    np.testing.assert_allclose(z, [0, 1 / 9, 1 / 11, 2 / 11], **close)


@in_browser
def test_images_are_shown_as_images(show):
    x = leaf(np.arange(3 * 16.0).reshape(3, 16), "x")  # three of 4 by 4
    maps = leaf(np.arange(2 * 5 * 5 * 3.0).reshape(2, 5, 5, 3), "maps")
    page = show((x * x).sum() + (maps * 2.0).sum())
    for name, size, at, index in [
        ("x", [14, 4], (5 + 2, 3), "[1, 14] = 30"),
        ("maps", [17, 11], (6 + 4, 6 + 1), "[1, 1, 4, 1] = 103"),
    ]:
        box(page, name).click()
        canvas = page.locator("#details figure canvas").first
        assert canvas.evaluate("e => [e.width, e.height]") == size
        area = canvas.bounding_box()
        assert area["height"] / size[1] == pytest.approx(area["width"] / size[0], 0.05)
        canvas.hover(
            position={
                "x": (at[0] + 0.5) / size[0] * area["width"],
                "y": (at[1] + 0.5) / size[1] * area["height"],
            }
        )
        assert page.locator("#details output").first.inner_text() == index
        page.keyboard.press("Escape")


# --- For someone who has never seen it ------------------------------------------------


@in_browser
def test_the_first_card_says_what_it_is_about(show):
    page = show(network())
    card = page.inner_text("#card")
    assert "the gradient of a number is how much loss rises for each unit" in " ".join(
        card.split()
    )
    page.keyboard.press("ArrowRight")
    assert not page.is_visible("#card")


@in_browser
def test_terms_are_explained_where_they_stand(show):
    page = show(network())
    meaning = page.locator("#term")
    for number, term, words in [
        (0, "leaves", "A leaf is a value that was not computed"),
        (6, "squared_norm", "squared_norm: The sum of the squares"),
        (10, "local derivative", "How much the output of this op alone rises"),
        (13, "by its rule", "Each op has a rule"),
    ]:
        page.fill("#scrubber", str(number))
        assert not meaning.is_visible()
        page.get_by_role("button", name=term, exact=True).click()
        assert meaning.inner_text().startswith(words)
        area = meaning.bounding_box()
        assert area["x"] >= 0
        assert area["y"] + area["height"] <= 800
        page.keyboard.press("Escape")
        assert not meaning.is_visible()


@in_browser
def test_a_result_that_is_too_large_is_warned_of(show):
    a, b = leaf(np.arange(4.0)[:, None], "a"), leaf(np.arange(4.0), "b")
    page = show((a - b).sum())
    assert not page.is_visible("#warning")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#warning").startswith("(4, 1) \u2212 (4,) made (4, 4)")
    page.keyboard.press("ArrowRight")
    assert not page.is_visible("#warning")


def predict(page, text):
    page.fill("#guess", text)
    page.keyboard.press("Enter")
    return page.inner_text("#verdict")


@in_browser
def test_one_predicts_then_looks(show):
    z = leaf([0.5, -1.0], "z")
    y = (tg.sigmoid(z) * tg.Tensor([3.0, 2.0], name="c")).sum()
    y.name = "y"
    page = show(y)
    page.fill("#scrubber", "6")
    page.get_by_role("button", name="predict, then look").click()
    assert not page.is_visible("#ask")  # what has been seen is not asked for
    page.keyboard.press("ArrowRight")
    number = step_of(page)[0]
    s = 1 / (1 + np.exp(-0.5))
    value = 3.0 * s * (1 - s)
    assert "What is dy/dz[0]" in page.inner_text("#ask")
    assert "?" in page.inner_text("#figures")
    assert page.evaluate("document.activeElement.id") == "guess"
    assert not box(page, "z").locator(".gradient").is_visible()
    assert predict(page, "one").startswith("Type a number")
    for guess, slip in [
        (-value, "its sign is flipped"),
        (3 * s, "the factor (1 \u2212 t1) is missing"),
        (s * (1 - s), "the factor dy/dt1 is missing"),
    ]:
        assert predict(page, f"{guess:.3f}").startswith(f"Not yet: {slip}")
    assert predict(page, "77").startswith("Not yet. Look at the formula")
    assert predict(page, f"{value:.2f}".replace(".", ",")).startswith("Right: dy/dz[0]")
    assert not page.is_visible("#ask")
    assert box(page, "z").locator(".gradient").is_visible()
    assert step_of(page)[0] == number
    page.fill("#scrubber", "5")
    page.get_by_role("button", name="show it").click()
    assert not page.is_visible("#ask")
    page.get_by_role("button", name="predict, then look").click()
    page.fill("#scrubber", "2")
    assert not page.is_visible("#ask")


@in_browser
def test_slips_in_sums_are_told(show):
    page = show(cube())
    page.get_by_role("button", name="predict, then look").click()
    page.fill("#scrubber", "7")  # 18 so far, and 9 more
    assert predict(page, "9") == "Not yet: the path through z is missing."
    assert predict(page, "18") == (
        "Not yet: the path through y is missing, or one of the 2 uses of x in z is "
        "missing."
    )
    page = show(network())
    page.get_by_role("button", name="predict, then look").click()
    page.fill("#scrubber", "1")  # a layer, of two inputs
    layer = page.evaluate(
        """() => productsOf(termsOf(asked.equation)[0], resultOf(asked.equation),
            lettersAt(resultOf(asked.equation), asked.place)).map((p) => valueOf(p))"""
    )
    assert predict(page, str(layer[0])).endswith("one part of a sum: add all of them.")
    assert predict(page, str(sum(layer))).startswith("Not yet: b1 is left out")
    page.fill("#scrubber", "18")  # a sum over rows
    first = page.evaluate("asked.step.slips.find(([what]) => what.includes('first'))")
    assert predict(page, str(first[1])).startswith("Not yet: only the first example")
    assert predict(page, str(page.evaluate("asked.value"))).startswith("Right")


@in_browser
def test_after_a_change_the_slips_that_were_computed_are_not_told(show):
    page = show(cube())
    page.click("#poke")
    page.get_by_role("spinbutton", name="x", exact=True).fill("1.5")
    page.click("#predict")
    page.fill("#scrubber", "4")  # the factor x, which is 1.5 now
    assert predict(page, "3").startswith("Not yet: it is twice as large")
    assert predict(page, "0.9").startswith("Not yet. Look at the formula")
    assert predict(page, "1.5").startswith("Right")


@in_browser
def test_playing_waits_for_an_answer(show):
    page = show(cube(), clock=True)
    page.get_by_role("button", name="predict, then look").click()
    page.click("#play")
    page.clock.run_for(6000)
    assert step_of(page)[0] == 1
    assert page.get_by_role("button", name="Play", exact=True).count() == 1


# --- The whole at one glance ----------------------------------------------------------


@in_browser
def test_the_whole_network_is_seen_at_once(show):
    page = show(network())
    assert page.locator("#picture").evaluate(
        "e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight"
    )
    assert not page.is_visible("#minimap")
    for number in range(step_of(page)[1]):
        page.fill("#scrubber", str(number))
        panel = "e => e.scrollHeight - e.clientHeight"
        over = page.locator("#panel").evaluate(panel)
        assert over <= (80 if number in (0, 19) else 0)


@in_browser
def test_boxes_grow_when_their_gradients_arrive(show):
    page = show(cube())
    width = "e => e.querySelector('rect').getBoundingClientRect().width"
    z = box(page, "z")
    page.fill("#scrubber", "3")
    small = z.evaluate(width)
    page.fill("#scrubber", "4")
    assert z.evaluate(width) > small + 10


@in_browser
def test_arrows_point_back_where_the_gradient_has_gone(show):
    page = show(cube())
    shown = """() => [...document.querySelectorAll("#picture .edge")].map((edge) =>
        ["head", "back"]
            .filter((kind) => edge.querySelector("." + kind).checkVisibility())
            .join())"""
    assert set(page.evaluate(shown)) == {"head"}
    page.fill("#scrubber", "5")
    assert sorted(page.evaluate(shown)) == ["back", "back", "head", "head"]
    page.keyboard.press("End")
    assert set(page.evaluate(shown)) == {"back"}


@in_browser
def test_a_large_graph_has_a_map_and_only_names_from_afar(show):
    page = show(wide())
    spots = page.locator("#minimap .spot")
    assert spots.count() == page.locator("#picture > svg .node.data").count()
    for _ in range(4):
        page.click("#larger")
    part = page.locator("#minimap .part")
    before = part.get_attribute("x")
    area = page.locator("#minimap").bounding_box()
    page.mouse.click(area["x"] + area["width"] - 3, area["y"] + area["height"] - 3)
    expect(part).not_to_have_attribute("x", before)
    for _ in range(12):
        page.click("#smaller")
    assert not page.locator("#picture .value").first.is_visible()
    assert page.locator("#picture .name").first.is_visible()


@in_browser
def test_the_step_stands_in_the_address(show):
    page = show(cube(), clock=True)
    page.keyboard.press("End")
    page.clock.run_for(500)
    assert page.evaluate("location.hash") == "#step=9"
    page.evaluate("location.hash = '#step=4'")
    expect(page.locator("#count")).to_contain_text(" 4 ")
    page.evaluate("location.hash = '#step=99'")
    expect(page.locator("#count")).to_contain_text(" 9 ")


@in_browser
def test_a_reload_keeps_the_step(browser, tmp_path):
    path = tg.step_through(cube(), tmp_path / "page.html")
    page = browser.new_page()
    page.goto(f"{path.as_uri()}#step=3")
    assert step_of(page)[0] == 2
    page.keyboard.press("ArrowRight")
    page.reload()
    assert step_of(page)[0] == 3
    page.close()


@in_browser
def test_the_passes_are_tabs(show):
    page = show(cube())
    tab = page.get_by_role("tab", name="backward")
    tab.click()
    assert step_of(page)[0] == 3
    assert tab.get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowLeft")
    assert step_of(page)[0] == 0
    assert page.evaluate("document.activeElement.id") == "forward-tab"
    panel = page.get_by_role("tabpanel")
    assert panel.get_attribute("aria-labelledby") == "forward-tab"


# --- Details --------------------------------------------------------------------------


@in_browser
def test_a_node_opens_by_click_and_by_enter_and_closes(show):
    page = show(network())
    dialog = page.get_by_role("dialog")
    box(page, "a1").click()
    assert dialog.get_by_role("heading").inner_text() == "a1"
    page.keyboard.press("ArrowRight")  # steps no more
    assert step_of(page)[0] == 0
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    box(page, "W1").focus()
    page.keyboard.press("Enter")
    assert dialog.get_by_role("heading").inner_text() == "W1"
    page.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    assert page.evaluate(
        "document.activeElement.getAttribute('aria-label')"
    ).startswith("W1 (3, 2), ")
    page.locator("#picture .node.op[data-node]").first.click()
    assert dialog.is_visible()
    page.mouse.click(2, 2)
    assert not dialog.is_visible()


@in_browser
def test_details_tell_all_of_a_node(show):
    y = network()
    gradients = leaves_of(y)
    page = show(y)
    box(page, "a1").click()
    facts = page.locator("#details dl").inner_text().split("\n")
    facts = [line.strip() for line in facts if line.strip()]
    assert facts[1:3] == ["a1 = sigmoid(z1)", "sigmoid"]
    assert "da1/dz1 = a1 * (1 \u2212 a1)" in facts
    assert "4 \u00d7 3, float64" in facts
    assert facts[-2:] == [
        "loss = tg.losses.mse(tg.nn.MLP(sizes, rng=0, dtype=dtype)(x), y)",
        f"test_stepper.py, line {network.__code__.co_firstlineno + 5}",
    ]
    page.keyboard.press("Escape")
    box(page, "W1").click()
    value, gradient = (numbers for _, numbers in read_figures(page.locator("#details")))
    w1 = next(x for x in topological_order(y) if x.name == "W1")
    np.testing.assert_allclose(value, w1.data, rtol=5e-4)
    np.testing.assert_allclose(gradient, gradients["W1"], rtol=5e-4)
    cell = page.locator("#details td").first.get_attribute("title")
    index, _, number = cell.partition(" = ")
    assert index == "[0, 0]"
    assert read_number(number) == pytest.approx(w1.data[0, 0], rel=1e-6)


@in_browser
def test_without_debug_the_details_tell_how_to_get_the_line(show):
    page = show(cube())
    box(page, "z").click()
    assert "recorded only in a block with tg.debug():" in " ".join(
        page.locator("#details dl").inner_text().split()
    )


@in_browser
def test_a_heat_map_tells_each_number(show):
    y = network((780, 30, 10), 10)
    gradient = leaves_of(y)["W1"]
    page = show(y)
    box(page, "W1").click()
    figure = page.locator("#details figure").nth(1)
    canvas, output = figure.locator("canvas"), figure.locator("output")
    area = canvas.bounding_box()
    assert area["width"] > 600
    for row, column in [(0, 0), (29, 779), (13, 402)]:
        canvas.hover(
            position={
                "x": (column + 0.5) / 780 * area["width"],
                "y": (row + 0.5) / 30 * area["height"],
            }
        )
        index, _, number = output.inner_text().partition(" = ")
        assert index == f"[{row}, {column}]"
        assert read_number(number) == pytest.approx(gradient[row, column], rel=1e-6)
    canvas.focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert output.inner_text().startswith("[13, 401] = ")
    canvas.press("Home")
    assert page.get_by_role("dialog").is_visible()


@in_browser
def test_the_arrow_keys_belong_to_the_heat_map_that_has_the_focus(show):
    page = show(network((784, 30, 10), 10))
    page.keyboard.press("ArrowRight")
    page.locator("#figures canvas[role]").last.focus()
    page.keyboard.press("ArrowRight")
    assert step_of(page)[0] == 1
    assert page.locator("#figures output").last.inner_text().startswith("[0, 1] = ")
    page.keyboard.press("End")  # this key does not
    assert step_of(page)[0] == 19


@in_browser
def test_a_heat_map_is_blue_below_zero_and_orange_above(show):
    values = np.zeros((20, 12))
    values[0, 0], values[0, 1], values[0, 2], values[0, 3] = -2.0, 2.0, 1.0, np.nan
    with np.errstate(all="ignore"):
        y = (leaf(np.ones((20, 12)), "w") * tg.Tensor(values, name="v")).sum()
    page = show(y)

    def pixels():
        return page.locator("#details canvas").evaluate(
            """canvas => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, 5, 1);
                return [0, 4, 8, 12, 16].map((i) => [...data.slice(i, i + 4)]);
            }"""
        )

    box(page, "v").click()
    negative, positive, half, broken, zero = pixels()
    assert negative[2] > negative[0] + 100
    assert positive[0] > positive[2] + 100
    for part, start, end in zip(half, zero, positive):
        assert abs(part - (start + end) / 2) <= 1
    assert len(set(broken[:3])) == 1
    assert min(zero) > 230
    page.emulate_media(color_scheme="dark")
    page.keyboard.press("Escape")
    box(page, "v").click()
    assert max(pixels()[-1][:3]) < 60


@in_browser
def test_an_array_that_is_shown_reduced_says_so_and_tells_true_indices(show):
    y = network((784, 100, 10), 128, np.float32)
    w1 = next(x for x in topological_order(y) if x.name == "W1")
    page = show(y)
    box(page, "W1").click()
    figure = page.locator("#details figure").first
    assert re.search(r"shown: .*one column in \d", figure.inner_text())
    figure.locator("canvas").focus()
    for key in ["ArrowRight"] * 3 + ["ArrowDown"] * 2:
        page.keyboard.press(key)
    index, _, number = figure.locator("output").inner_text().partition(" = ")
    row, column = json.loads(index)
    assert column > 3
    assert read_number(number) == pytest.approx(w1.data[row, column], rel=1e-6)


@in_browser
def test_arrays_of_any_shape_are_told_by_their_own_indices(show):
    x = leaf(np.arange(480.0).reshape(2, 3, 4, 20), "x")
    page = show((x * np.zeros((0, 2, 3, 4, 20))).sum() + (x * x).sum())
    box(page, "x").click()
    titles = page.locator("#details figure canvas").first
    titles.focus()
    for key in ["ArrowDown"] * 5 + ["ArrowRight"]:
        page.keyboard.press(key)
    output = page.locator("#details output").first
    assert output.inner_text() == "[0, 1, 1, 1] = 101"


# --- For everyone ---------------------------------------------------------------------


@in_browser
def test_whatever_can_be_used_has_a_name(show):
    page = show(network())
    box(page, "a1").click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll(
                "button, select, input, canvas, dialog, [role], [tabindex]")]
            .filter((e) => {
                const by = document.getElementById(e.getAttribute("aria-labelledby"));
                const label = e.labels?.[0] ?? by ?? e;
                return !(e.getAttribute("aria-label") ?? label.textContent).trim();
            })
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title() == "loss, step by step"


@in_browser
@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(show, scheme):
    page = show(network(), color_scheme=scheme, bypass_csp=True)
    page.evaluate(AXE.read_text("utf-8"))
    find = """axe.run().then(({ violations }) => violations.map(
        ({ id, nodes }) => [id, nodes.map(({ html }) => html)]))"""
    found = []
    for number in (0, 1, 13, 19):
        page.fill("#scrubber", str(number))
        found += page.evaluate(find)
    page.click("#predict")
    page.fill("#scrubber", "12")
    found += page.evaluate(find)
    box(page, "a1").click()
    found += page.evaluate(find)
    assert found == []


@in_browser
def test_a_screen_reader_hears_each_step_and_node(show):
    page = show(cube())
    assert page.locator("#sentence").get_attribute("aria-live") == "polite"
    label = "x 3{}, parameter (requires_grad), value 3"
    assert box(page, "x").get_attribute("aria-label") == label.format("")
    assert box(page, "z").get_attribute("aria-label") == "z, z = x^2"
    page.fill("#scrubber", "6")
    assert box(page, "x").get_attribute("aria-label") == (
        f"{label.format(' 18')}, gradient 18 so far"
    )
    assert box(page, "z").get_attribute("aria-label") == (
        "z 9 3, z = x^2, value 9, gradient 3"
    )
    scrubber = page.get_by_role("slider", name="Step", exact=True)
    assert scrubber.get_attribute("aria-valuetext") == "step 7 of 9, backward pass"


@in_browser
def test_everything_is_reached_by_tab_and_seen_to_be(show):
    page = show(cube())
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                    const e = document.activeElement;
                    const style = getComputedStyle(e.querySelector("rect") ?? e);
                    const seen = style.outlineStyle !== "none" ||
                        parseFloat(style.strokeWidth) >= 3;
                    return [e.id || e.getAttribute("aria-label") || e.tagName, seen];
                }"""
            )
        )
    names = [re.split("[ ,]", name)[0] for name, _ in reached if name != "BODY"]
    assert {"x", "z", "y", "play", "forward", "last", "scrubber", "SELECT"} <= set(
        names
    )
    assert [name for name, seen in reached if not seen and name != "BODY"] == []


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(show, scheme):
    """Contrast of at least 4.5, as WCAG asks for, for all text of the page itself."""
    page = show(network(), color_scheme=scheme)
    faint = []
    for number in (0, 3, 12, 19):
        page.fill("#scrubber", str(number))
        faint += page.evaluate(
            """() => {
                const canvas = new OffscreenCanvas(1, 1).getContext(
                    "2d", { willReadFrequently: true });
                const luminance = ([r, g, b]) => [r, g, b]
                    .map((c) => c / 255)
                    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
                const paint = (colours) => {
                    canvas.clearRect(0, 0, 1, 1);
                    for (const colour of colours) {
                        canvas.fillStyle = colour;
                        canvas.fillRect(0, 0, 1, 1);
                    }
                    return luminance(canvas.getImageData(0, 0, 1, 1).data);
                };
                const behind = (e) => e === null ? [] :
                    [...behind(e.parentElement), getComputedStyle(e).backgroundColor];
                return [...document.querySelectorAll(
                        "h1, li, p, code, figcaption, td, kbd, span, button, select")]
                    .filter((e) => e.checkVisibility() && !e.closest("svg, dialog"))
                    .filter((e) => !e.disabled && e.innerText?.trim())
                    .map((e) => {
                        const under = behind(e);
                        const style = getComputedStyle(e);
                        const [a, b] = [paint(under), paint([...under, style.color])];
                        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                        return [e.innerText, ratio];
                    })
                    .filter(([, ratio]) => ratio < 4.5);
            }"""
        )
    assert faint == []


@in_browser
def test_nothing_moves_for_who_prefers_that(show):
    moving = "document.getAnimations().length"
    page = show(cube())
    page.keyboard.press("ArrowRight")
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moving) == 2  # the two edges


@in_browser
@pytest.mark.parametrize("graph", [cube, network])
def test_a_phone_shows_all_of_it(show, graph):
    page = show(graph(), viewport=PHONE, is_mobile=True, has_touch=True)
    for number in (0, 4, 8):
        page.fill("#scrubber", str(number))
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate("document.documentElement.scrollHeight") <= PHONE["height"]
        for button in page.locator("#controls button").all():
            area = button.bounding_box()
            assert min(area["width"], area["height"]) >= 44  # for a finger
            assert area["y"] + area["height"] <= PHONE["height"]
            assert 0 <= area["x"] <= PHONE["width"] - area["width"]
        graph_area, panel = (
            page.locator(f"#{name}").bounding_box() for name in ("graph", "panel")
        )
        assert graph_area["y"] + graph_area["height"] <= panel["y"] + 1
        assert min(graph_area["height"], panel["height"]) > 250
    page.locator("#picture .node.data[data-node]").first.tap()
    dialog = page.locator("#details").bounding_box()
    assert dialog["x"] >= 0
    assert dialog["x"] + dialog["width"] <= PHONE["width"]


@in_browser
def test_the_graph_follows_the_step_and_is_zoomed(show):
    y = leaf(1.0, "w")
    for _ in range(12):  # more would be folded
        y = tg.tanh(y + 0.1)
    page = show(y)

    def is_seen(locator):
        frame, area = page.locator("#picture").bounding_box(), locator.bounding_box()
        return (
            area["x"] >= frame["x"]
            and area["x"] + area["width"] <= frame["x"] + frame["width"]
        )

    assert not is_seen(page.locator("#picture .node.data.result[data-node]"))
    for number in (24, 25, 36, 49, 1):
        page.fill("#scrubber", str(number))
        for lit in page.locator("#picture .active, #picture .other").all():
            assert is_seen(lit)
    assert page.evaluate("scrollY") == 0
    width = page.locator("#picture svg").bounding_box()["width"]
    page.click("#larger")
    assert page.locator("#picture svg").bounding_box()["width"] == pytest.approx(
        1.25 * width, rel=0.01
    )
    page.click("#smaller")
    page.click("#smaller")
    assert page.locator("#picture svg").bounding_box()["width"] == pytest.approx(
        0.8 * width, rel=0.01
    )
    page.click("#fit")
    picture = page.locator("#picture")
    assert picture.evaluate("e => e.scrollHeight <= e.clientHeight")


def wide():
    """Return the end of a graph that is much wider and higher than a phone."""
    rng = np.random.default_rng(0)
    ps = [leaf(rng.random((4, 4)), f"parameter{i}") for i in range(9)]
    y = (sum(tg.tanh(p @ ps[0]) for p in ps) * 0.5).sum()
    y.name = "y"
    return y


@in_browser
@pytest.mark.parametrize("graph", [cube, network, wide])
def test_on_a_phone_each_step_is_seen_and_can_be_read(show, graph):
    y = graph()
    page = show(y, viewport=PHONE, is_mobile=True, has_touch=True)
    frame = page.locator("#picture").bounding_box()
    for area in [b.bounding_box() for b in page.locator("#zoom button:visible").all()]:
        assert area["y"] >= frame["y"] + frame["height"]
    unseen = []
    for number in range(page.evaluate("stops.length")):
        page.fill("#scrubber", str(number))
        key = page.evaluate("boxOf(stepAt(current).to ?? stepAt(current).node)")
        if key is None:
            continue
        shown = page.locator(f"#picture .data[data-node='{key}']:visible")
        area = shown.bounding_box()
        right, bottom = area["x"] + area["width"], area["y"] + area["height"]
        if not (
            frame["x"] <= area["x"]
            and right <= frame["x"] + frame["width"]
            and frame["y"] <= area["y"]
            and bottom <= frame["y"] + frame["height"]
        ):
            unseen.append((number, area))
    assert unseen == []

    def smallest():
        return page.evaluate(
            """() => {
                const svg = document.querySelector("#picture svg");
                const scale = svg.getBoundingClientRect().width /
                    svg.viewBox.baseVal.width;
                return scale * Math.min(...[...svg.querySelectorAll("text, tspan")]
                    .map((e) => parseFloat(getComputedStyle(e).fontSize)));
            }"""
        )

    assert smallest() >= 9
    page.click("#fit")
    assert page.locator("#picture").evaluate(
        "e => e.scrollHeight <= e.clientHeight && e.scrollWidth <= e.clientWidth"
    )
    if graph is wide:
        assert smallest() < 9


@in_browser
def test_the_step_stays_in_sight_as_the_graph_is_zoomed(show):
    page = show(wide(), viewport=PHONE)
    page.click("#fit")
    page.fill("#scrubber", "9")
    for _ in range(8):
        page.click("#larger")
    frame = page.locator("#picture").bounding_box()
    area = page.locator("#picture .data.active").bounding_box()
    assert frame["y"] <= area["y"] <= frame["y"] + frame["height"]
    assert frame["x"] <= area["x"] <= frame["x"] + frame["width"]


@in_browser
def test_long_names_are_broken(show):
    x, z = leaf([1.0, 2.0], "n" * 90), leaf([3.0, 1.0], "m" * 90)
    page = show((x * z).sum(), viewport=PHONE)
    for key in ("Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        panel = "e => e.scrollWidth <= e.clientWidth"
        assert page.locator("#panel").evaluate(panel)
    page.locator("#picture .node.data[data-node]").first.click()
    assert page.locator("#details").evaluate("e => e.scrollWidth <= e.clientWidth")


@in_browser
def test_an_empty_array_is_shown_as_such(show):
    page = show((leaf(np.zeros((0, 3)), "x") * 2.0).sum())
    assert page.inner_text("#figures").split() == ["x", "0", "\u00d7", "3", "[]"]
    page.keyboard.press("End")
    assert page.inner_text("#figures").split()[-1] == "[]"
    box(page, "x").click()
    shown = page.inner_text("#details .figures").split()
    assert shown == ["value", "[]", "gradient", "[]"]


@in_browser
def test_print_shows_everything_at_once(show):
    page = show(network())
    steps = step_of(page)[1]
    page.keyboard.press("ArrowRight")
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    rows = page.locator("#printed > table > tbody > tr")
    assert rows.count() == steps
    assert rows.nth(3).is_visible()
    assert not page.locator("#controls").is_visible()
    assert step_of(page)[0] == 1  # afterwards it is where it was
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#picture .pending").count() == 0
    assert page.locator("#picture .gradient:visible").count() == 11
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert rows.count() == steps


# --- In the learner's language --------------------------------------------------------


def told(page):
    """Return all words of the page that can be seen or heard at a step."""
    return page.evaluate(
        """() => {
            const seen = document.body.cloneNode(true);
            const other = seen.querySelectorAll("script, style, code, kbd");
            for (const element of other) element.remove();
            const heard = [...seen.querySelectorAll("[aria-label], [title]")]
                .flatMap((e) => [e.getAttribute("aria-label"), e.title]);
            const texts = document.createTreeWalker(seen, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) heard.push(texts.currentNode.data);
            return heard.join(" ");
        }"""
    )


@in_browser
def test_in_chinese_no_word_is_english(show):
    """But for names: of ops, of quantities, of methods and keys."""
    y = folded_network()
    page = show(y, lang="zh")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.title() == "loss：逐步计算"
    names = page.evaluate("model.nodes.map(({ name }) => name)")
    known = {
        *names,
        *page.evaluate("Object.keys(model.ops)"),
        "backward",
        "grad",
        "requires_grad",
        "float64",
        "Enter",
        "JavaScript",
    }
    english = set()
    for number in range(page.evaluate("stops.length")):
        page.fill("#scrubber", str(number))
        text = re.sub(r"d\w+/d\w+", "", told(page))
        english |= {*re.findall(r"[A-Za-z_]{3,}\d*", text)} - known
    page.click("#poke")
    page.click("#descend button")
    page.click("#predict")
    page.fill("#scrubber", "1")
    predict(page, "77")
    english |= {*re.findall(r"[A-Za-z_]{3,}\d*", told(page))} - known
    assert english == set()


def folded_network():
    """Return a loss in whose graph there is all that the page has words for."""
    rng = np.random.default_rng(0)
    w, h = leaf(np.eye(3) / 2, "W"), leaf(np.ones((4, 3)), "h")
    for _ in range(12):
        h = tg.tanh(h @ w + h)
    column, row = leaf(rng.random((4, 1)), "a"), leaf(rng.random(3), "b")
    loss = tg.sum((h * h - column - row) * np.ones((4, 3))) + tg.sum(column / row)
    loss.name = "loss"
    return loss


@in_browser
def test_in_chinese_terms_are_explained_and_slips_are_named(show):
    page = show(network(), lang="zh")
    page.fill("#scrubber", "12")
    page.get_by_role("button", name="局部导数", exact=True).click()
    assert page.inner_text("#term").startswith("只看这一个运算")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="先预测，再看答案").click()
    page.fill("#scrubber", "16")
    slips = dict(page.evaluate("asked.step.slips"))
    slip = "缺少 sigma'(z1)"
    assert predict(page, str(slips[slip])).startswith(f"还不对：{slip}")
    value = page.evaluate("asked.value")
    assert predict(page, str(value)).startswith("正确：dloss/dz1")


def test_the_language_is_chosen_as_everywhere(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    with pytest.raises(ValueError, match="there is no catalogue for 'xx'"):
        tg.step_through(cube(), path, lang="xx")
    monkeypatch.setenv("TINYGRAD_EDU_LANG", "zh")
    for lang, words in [(None, "反向传播从终点开始"), ("en", "The backward pass")]:
        (start,) = (
            step
            for step in model_of(tg.step_through(cube(), path, lang=lang))["steps"]
            if step["kind"] == "start"
        )
        assert start["sentence"].startswith(words)


# --- Text that is the user's ----------------------------------------------------------


@in_browser
def test_text_of_the_user_is_text(show, tmp_path):
    """Names and source lines, whatever stands in them, are shown and never run."""
    evil = "</script><script>hacked = 1</script><img src=x onerror=hacked=1>"
    source = f"y = x * 2.0  # {evil}"
    file = tmp_path / "<b>lesson.py"
    file.write_text(source)
    names = {"x": leaf(3.0, f"<i>x</i>{evil}"), "y": None}
    with tg.debug():
        exec(compile(source, str(file), "exec"), names)
    names["y"].name = "y&amp;$style"
    page = show(names["y"])
    assert page.title() == "y&amp;$style, step by step"
    assert page.locator("h1").inner_text() == "y&amp;$style, step by step"
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("img, body > script ~ script ~ script, i, b").count() == 0
    assert evil in page.inner_text("#sentence")
    page.locator("#picture [aria-label^='y&']").click()
    facts = page.locator("#details dl").inner_text()
    assert source in facts
    assert "<b>lesson.py, line 1" in facts


@in_browser
def test_without_javascript_it_says_so(browser, tmp_path):
    path = tg.step_through(cube(), tmp_path / "page.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert "needs JavaScript" in page.inner_text("#panel")
    context.close()
