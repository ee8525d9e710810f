"""Each name from elsewhere is refused with what to write, and that runs."""

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from leaves import leaf

import tinygrad_edu as tg
from tinygrad_edu.support import foreign

ROOT = Path(__file__).parents[2]
ROWS = [(place, name) for place, names in foreign.TABLE.items() for name in names]


@pytest.fixture
def names(rng):
    """Return what the answers of the table speak of."""
    x = rng.random((2, 3))
    return {
        "np": np,
        "tg": tg,
        "t": leaf(x) * 1.0,
        "u": leaf(rng.random((2, 3))),
        "x": x,
        "y": rng.random((2, 3)),
        "labels": np.array([2, 0]),
        "f": lambda x: x * x,
        "model": tg.nn.Linear(3, 2, rng=0),
    }


# How functions of NumPy are called, if not with one Tensor.
CALLS = {
    "np.float_power": "np.float_power(t, 2)",
}


def error_of(place, name, names):
    """Return what is raised for a name, looked for as its user would."""
    code = f"{place}.{name}"
    code = CALLS.get(code, f"{code}(t)") if place == "np" else code
    with pytest.raises((AttributeError, TypeError)) as caught:
        eval(code, names)
    return str(caught.value)


@pytest.mark.parametrize(("place", "name"), ROWS)
def test_the_error_says_what_to_write_and_that_runs(place, name, names):
    code, _, note = foreign.TABLE[place][name].partition("  # ")
    message = error_of(place, name, names)
    assert message.count("\n") == 0
    assert f"; write {code}" in message
    assert not note or message.endswith(f"({note})") or place == "np"
    assert place != "t" or name not in tg.OPS  # whose methods they would hide
    eval(code, names)


@pytest.mark.parametrize("place", foreign.TABLE)
def test_any_other_name_is_only_said_to_be_missing(place, names):
    message = error_of(place, "digitise" if place != "np" else "unwrap", names)
    assert "write" not in message


@pytest.mark.parametrize("place", ["tg", "tg.nn", "tg.losses", "tg.optim"])
def test_a_typing_error_gets_pythons_own_hint(place):
    """It is made of the error's name and object."""
    module = import_module(place.replace("tg", "tinygrad_edu"))
    with pytest.raises(AttributeError) as caught:
        module.sigmoyd  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("sigmoyd", module)
    known = next(iter(foreign.TABLE[place]))
    with pytest.raises(AttributeError) as caught:
        getattr(module, known)
    assert caught.value.obj is None  # so that nothing is added to the advice


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda t: t.sum(dim=0), "axis= instead of dim="),
        (lambda t: tg.softmax(t, dim=-1), "axis= instead of dim="),
        (lambda t: tg.stack([t, t], dim=0), "axis= instead of dim="),
        (lambda t: t.mean(axis=0, keepdim=True), "keepdims= instead of keepdim="),
        (lambda t: t.transpose().sum(dims=0), None),
        (lambda t: tg.transpose(t, dims=(1, 0)), "axes= instead of dims="),
        (lambda t: t.var(correction=1), "ddof= instead of correction="),
        (lambda t: t.exp(dim=0), None),
    ],
)
def test_a_keyword_from_elsewhere_gets_ours(call, advice):
    with pytest.raises(TypeError, match="call it as") as caught:
        call(leaf([[1.0, 2.0]]))
    found = re.findall("; write (.*)$", str(caught.value))
    assert found == ([advice] if advice else [])


def test_the_page_has_the_whole_table():
    """Each row as it stands here, and no other."""
    answers = [text for rows in foreign.TABLE.values() for text in rows.items()]
    answers += [(f"{a}=", f"{b}=") for a, b in foreign.KEYWORDS.items()]
    rows = []
    for name, answer in answers:
        code, _, note = answer.partition("  # ")
        rows.append(f"| `{name}` | `{code}`" + f" ({note})" * bool(note) + " |")
    page = (ROOT / "docs" / "coming-from.md").read_text("utf-8")
    told = re.findall(r"^\| `.*", page.partition("## The whole table")[2], re.MULTILINE)
    assert sorted(told) == sorted(rows)


def test_both_keywords_are_told():
    with pytest.raises(TypeError, match=r"write axis= .*; write keepdims= "):
        leaf([1.0]).sum(dim=0, keepdim=True)


def test_what_is_not_there_is_not_listed_either():
    t, model = leaf([1.0]), tg.nn.Linear(3, 2)
    for thing, place in [(t, "t"), (model, "model")]:
        assert not any(hasattr(thing, name) for name in foreign.TABLE[place])
        assert foreign.TABLE[place].keys().isdisjoint(dir(thing))


def test_a_name_from_elsewhere_may_be_given():
    """To an op of one's own, an attribute or a method."""

    class Net(tg.nn.Module):
        def __init__(self):
            self.apply = 3.0

        def cpu(self):
            return self.apply

    assert Net().cpu() == 3.0
    assert tg.nn.Sequential(to=tg.tanh).to is not None
