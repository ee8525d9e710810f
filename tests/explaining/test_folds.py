"""Loops are folded on the page, and can be opened."""

import json
import re

import numpy as np
from chromium import AXE, in_browser, needs_axe
from leaves import leaf

import tinygrad_edu as tg

TURNS = 12
HIDDEN = TURNS - 2
OPS = ["matmul", "add", "tanh"]  # of a turn


def numbers(turns=TURNS):
    rng = np.random.default_rng(0)
    w, h0 = rng.standard_normal((2, 2)), rng.random((3, 2))
    return w, h0, rng.random((turns, 3, 2))


def loop(turns=TURNS):
    """Return the end of a loop that gets another array in each turn."""
    w, h, xs = numbers(turns)
    w, h = leaf(w, "W"), leaf(h, "h0")
    for t, x in enumerate(xs, 1):
        h = tg.tanh(h @ w + tg.Tensor(x, name=f"x{t}"))
        h.name = f"h{t}"
    y = tg.sum(h)
    y.name = "y"
    return y


def by_hand(turns=TURNS):
    """Return h1, h2, ... and the gradients of y with respect to them."""
    w, h, xs = numbers(turns)
    hs = [h := np.tanh(h @ w + x) for x in xs]
    gradients = [np.ones_like(h)]
    for h in hs[:0:-1]:
        gradients.append(gradients[-1] * (1 - h * h) @ w.T)
    return hs, gradients[::-1]


def folds_of(path):
    text = re.search(r'id="model">(.*?)</script>', path.read_text("utf-8"), re.S)[1]
    model = json.loads(text)
    names = {node["key"]: node["name"] for node in model["nodes"]}
    return model, names


def test_the_page_has_the_values_of_all_turns(tmp_path):
    model, names = folds_of(tg.step_through(loop(), tmp_path / "page.html"))
    (fold,) = model["folds"]
    assert fold["about"] == f"{HIDDEN} more like this: {', '.join(OPS)}"
    turns = [[names[key] for key in turn] for turn in fold["turns"]]
    assert [turn[2:] for turn in turns] == [
        [f"h{t}", "W", f"x{t}"] for t in range(2, TURNS)
    ]
    assert fold["shown"] == fold["turns"][HIDDEN // 2]
    assert fold["before"] == fold["turns"][0][0]
    assert fold["after"] == fold["turns"][HIDDEN // 2 + 1][0]
    inside = {key for turn in fold["turns"] for key in turn[:3]}
    told = [step["slips"] != [] for step in model["steps"] if "slips" in step]
    hidden = [step["node"] in inside for step in model["steps"] if "slips" in step]
    assert sum(hidden) == HIDDEN * (3 + 4)
    assert not any(a and b for a, b in zip(told, hidden))
    assert any(told)


def test_ops_that_do_not_repeat_are_one_turn(tmp_path):
    model, _ = folds_of(tg.step_through(without_repeats(), tmp_path / "page.html"))
    (fold,) = model["folds"]
    assert len(fold["turns"]) == 1
    assert len(fold["turns"][0]) == 40
    assert "shown" not in fold
    text = (tmp_path / "page.html").read_text("utf-8")
    assert '<div id="opened" hidden></div>' in text


def without_repeats():
    fs = [tg.tanh, tg.sigmoid, tg.sin, tg.cos]
    y = leaf(0.5, "w")
    for choice in np.random.default_rng(3).integers(4, size=200):
        y = fs[choice](y)
    return y


def test_two_hidden_turns_have_no_stand_in(tmp_path):
    model, _ = folds_of(tg.step_through(four_turns(), tmp_path / "page.html"))
    (fold,) = model["folds"]
    assert len(fold["turns"]) == 2
    assert "shown" not in fold


def four_turns():
    w = leaf(np.eye(2), "w")
    h = leaf(np.ones((2, 2)), "h")
    for i in range(1, 5):
        for f in (tg.tanh, tg.sigmoid, tg.exp, tg.sin, tg.cos, tg.square, tg.tanh):
            h = f(h)
        h = h @ w
        h.name = f"h{i}"
    return h.sum()


def step_of(page):
    return page.inner_text("#count")


def names(page):
    """Return the names in the boxes of the picture that is seen."""
    return page.locator("#picture .node.data .name:visible").all_text_contents()


def box(page, name):
    return page.locator(f"#picture .data[aria-label^='{name} ']:visible")


def numbers_in(page, name, what):
    """Return the numbers of the value or the gradient that a box shows."""
    box(page, name).click()
    found = page.evaluate(
        """what => [...document.querySelectorAll("#details figure")]
            .filter((f) => f.querySelector("figcaption").textContent === what)
            .map((f) => [...f.querySelectorAll("td")].map((td) => td.title))[0]""",
        what,
    )
    page.keyboard.press("Escape")
    return [float(text.split(" = ")[1].replace("\u2212", "-")) for text in found]


FORWARD = 1 + 3 * TURNS + 1  # with the first step, and the sum


@in_browser
def test_a_folded_loop_is_one_step_of_each_pass(show):
    page = show(loop())
    assert names(page).count(f"\u2026 {HIDDEN} more like this \u2026") == 1
    steps = []
    for _ in range(100):
        steps.append((step_of(page), page.inner_text("#sentence")))
        if page.is_disabled("#forward"):
            break
        page.keyboard.press("ArrowRight")
    of = page.evaluate("steps.length")
    more = f"{HIDDEN} more like this: {', '.join(OPS)}."
    assert (f"Steps 5 to {4 + 3 * HIDDEN} of {of}", more) in steps
    start = FORWARD + 1 + 1 + 4  # the start, the sum, and a turn with two factors
    per_turn = 3 + 1  # constants get no gradient
    assert (f"Steps {start + 1} to {start + per_turn * HIDDEN} of {of}", more) in steps
    assert len(steps) == of - (3 + per_turn) * HIDDEN + 2
    assert page.get_attribute("#scrubber", "max") == str(len(steps) - 1)
    back = []
    for _ in range(len(steps)):
        back.append((step_of(page), page.inner_text("#sentence")))
        page.keyboard.press("ArrowLeft")
    assert back[::-1] == steps


@in_browser
def test_all_of_it_flows_through_a_folded_loop(show):
    page = show(loop())
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    ends = "edges => edges.map(({ dataset }) => dataset.to)"
    flowing = page.locator("#picture .edge.flowing").evaluate_all(ends)
    assert len(flowing) == 2  # from W and from the first turn
    assert {*flowing} == {page.get_attribute("#picture .more", "data-node")}
    page.keyboard.press("ArrowRight")
    assert "matmul computes" in page.inner_text("#sentence")
    _, gradients = by_hand()
    page.keyboard.press("End")
    np.testing.assert_allclose(
        numbers_in(page, "h1", "gradient"), gradients[0].ravel(), rtol=1e-5
    )


@in_browser
def test_one_goes_through_a_loop_turn_by_turn(show):
    page = show(loop())
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Go through them").click()
    assert step_of(page).startswith("Step 5 of")
    assert page.get_attribute("#fold", "aria-pressed") == "true"
    hs, gradients = by_hand()
    for turn in range(HIDDEN):
        shown = names(page)
        assert {f"h{turn + 2}", f"x{turn + 2}", "h1", f"h{TURNS}", "W"} <= {*shown}
        assert len([name for name in shown if name.startswith("h")]) == 4
        more = [int(re.sub(r"\D", "", n)) for n in shown if "more like this" in n]
        assert more == [turn, HIDDEN - 1 - turn]
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        name = f"h{turn + 2}"
        np.testing.assert_allclose(
            numbers_in(page, name, "value"), hs[turn + 1].ravel(), rtol=1e-5
        )
        assert "flowing" in page.evaluate("lit.map((e) => e.classList.value).join()")
        page.keyboard.press("ArrowRight")
    page.get_by_role("tab", name="backward").click()
    for _ in range(2 + 4):
        page.click("#forward")
    for turn in reversed(range(HIDDEN)):
        name = f"h{turn + 2}"
        assert name in names(page)
        np.testing.assert_allclose(
            numbers_in(page, name, "gradient"), gradients[turn + 1].ravel(), rtol=1e-5
        )
        for _ in range(4):
            page.keyboard.press("ArrowRight")


@in_browser
def test_a_link_leads_into_a_loop_and_the_box_opens_and_closes_it(show):
    page = show(loop(), "#step=11")  # the third of the hidden turns
    assert step_of(page).startswith("Step 11 of")
    assert "h4" in names(page)
    more = page.locator("#picture .more:visible")
    assert more.count() == 2
    more.first.focus()
    page.keyboard.press("Enter")
    assert step_of(page).startswith(f"Steps 5 to {4 + 3 * HIDDEN} of")
    assert page.get_attribute("#fold", "aria-pressed") == "false"
    assert more.count() == 1
    more.click()
    assert step_of(page).startswith("Step 5 of")
    page.get_by_role("tab", name="forward").click()
    page.get_by_role("button", name="unfold").click()
    assert step_of(page).startswith("Step 1 of")
    assert more.count() == 1


@in_browser
def test_both_pictures_show_a_changed_number(show):
    page = show(loop())
    page.keyboard.press("End")
    page.click("#fold")
    page.click("#poke")
    page.get_by_role("spinbutton", name="W[0, 0]", exact=True).fill("2")
    hs, _ = by_hand()
    for _ in range(2):
        changed = numbers_in(page, f"h{TURNS}", "value")
        assert np.abs(changed - hs[-1].ravel()).max() > 0.01
        seen = page.evaluate(
            """() => {
                const [box] = [...picture.boxes.values()]
                    .filter((box) => box.textContent.startsWith("h12"));
                return box.querySelector("image").getAttribute("href") ===
                    pictureOf(nodes.get(Number(box.dataset.node)).value);
            }"""
        )
        assert seen
        page.click("#fold")


@in_browser
def test_what_is_shown_is_printed(show):
    page = show(loop())
    rows = "document.querySelectorAll('#printed > table > tbody > tr').length"
    for _ in range(2):
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(rows) == page.evaluate("stops.length")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.click("#fold")


@in_browser
def test_a_folded_loop_asks_for_no_number(show):
    page = show(loop())
    page.click("#predict")
    page.fill("#scrubber", "4")
    assert page.is_visible("#enter")
    assert not page.is_visible("#ask")
    page.click("#enter")
    assert page.is_visible("#ask")


@in_browser
def test_two_hidden_turns_are_opened_both(show):
    page = show(four_turns())
    assert not {"h2", "h3"} & {*names(page)}
    page.click("#fold")
    assert {"h1", "h2", "h3", "h4"} <= {*names(page)}
    assert page.locator("#picture .more:visible").count() == 0
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    assert page.locator("#picture .data.active:visible").count() == 1


@in_browser
def test_ops_that_do_not_repeat_are_folded_too(show):
    page = show(without_repeats())
    for _ in range(81):
        page.keyboard.press("ArrowRight")
    assert step_of(page).startswith("Steps 82 to 121 of")
    page.click("#enter")
    assert step_of(page).startswith("Step 82 of")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        assert page.locator("#picture .more.active").count() == 1


@in_browser
@needs_axe
def test_axe_finds_nothing_serious_in_an_open_loop(show):
    page = show(loop(), bypass_csp=True)
    page.evaluate(AXE.read_text("utf-8"))
    find = """axe.run().then(({ violations }) => violations.map(
        ({ id, nodes }) => [id, nodes.map(({ html }) => html)]))"""
    page.fill("#scrubber", "4")
    assert page.evaluate(find) == []
    page.click("#enter")
    assert page.evaluate(find) == []


@in_browser
def test_a_phone_shows_an_open_loop(show):
    phone = {"width": 390, "height": 844}
    page = show(loop(), viewport=phone, is_mobile=True, has_touch=True)
    page.fill("#scrubber", "4")
    page.locator("#enter").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    frame = page.locator("#picture").bounding_box()
    area = page.locator("#picture .data.active:visible").bounding_box()
    assert frame["x"] <= area["x"] <= frame["x"] + frame["width"]
    button = page.locator("#fold").bounding_box()
    assert button["x"] + button["width"] <= phone["width"]
