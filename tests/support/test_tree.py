"""Nested tuples, lists, dicts and dataclasses."""

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.support.tree import fields, is_structure, leaves, pairs, rebuild

Point = namedtuple("Point", "x y")


@dataclass(slots=True)
class Line:
    slope: Any
    shift: Any = field(default=None, kw_only=True)


def line(slope, shift):
    return Line(slope, shift=shift)


numbers = st.integers()
trees = st.recursive(
    numbers | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(line, inner, inner)
    ),
)


@given(trees)
def test_a_tree_is_rebuilt_from_its_leaves(tree):
    assert rebuild(tree, leaves(tree)) == tree


@given(trees)
def test_what_is_rebuilt_holds_the_new_leaves_in_order(tree):
    new = list(range(len(leaves(tree))))
    assert leaves(rebuild(tree, new)) == new


@given(trees)
def test_a_tree_is_paired_with_itself_rebuilt(tree):
    new = [-leaf for leaf in leaves(tree)]
    assert list(pairs(tree, rebuild(tree, new))) == [(-x, x) for x in new]


def test_types_of_containers_are_kept():
    tree = OrderedDict(a=Point(1, [2]), b=defaultdict(list, {"c": 3}))
    new = rebuild(tree, [10, 20, 30])
    assert new == {"a": (10, [20]), "b": {"c": 30}}
    assert type(new) is OrderedDict
    assert type(new["a"]) is Point
    assert new["b"].default_factory is list
    assert tree["b"] == {"c": 3}


@dataclass
class Fit(Line):
    kind: ClassVar[str] = "straight"
    error: Any = field(default=0.0, init=False)

    def __post_init__(self):
        self.error = abs(self.slope)


def test_the_parts_of_a_dataclass_are_what_it_is_made_of():
    fit = Fit(-2, shift=1)
    assert fields(fit) == {"slope": -2, "shift": 1}
    new = rebuild(fit, [-5, 4])
    assert type(new) is Fit
    assert (new.slope, new.shift, new.error) == (-5, 4, 5)
    assert fit.slope == -2


@dataclass(frozen=True, slots=True)
class Scaled:
    by: Any

    def __post_init__(self):
        object.__setattr__(self, "by", self.by * 2)


def test_what_a_dataclass_makes_of_its_parts_is_not_made_again():
    assert rebuild(Scaled(1), [5]).by == 5
    x = np.array([1.0, -3.0])
    gradient = tg.grad(lambda scaled: (scaled.by**2).sum())(Scaled(x))
    assert gradient.by.tolist() == [4.0, -12.0]


def test_a_class_a_module_and_what_has_no_parts_are_leaves():
    @dataclass(eq=False)
    class Scale(tg.nn.Module):
        by: tg.Tensor

    @dataclass
    class Empty:
        seed: InitVar[int] = 0

    for thing in Line, Scale(tg.Tensor(2.0)), Empty(), 3, np.ones(2), "ab":
        assert not is_structure(thing)
        assert leaves(thing) == [thing]
        assert fields(thing) == {}


def test_none_is_no_leaf():
    assert list(pairs((None, 1), (None, 2))) == [(1, 2)]


def test_dicts_are_paired_by_key():
    assert list(pairs({"a": 1, "b": 2}, {"b": 20, "a": 10})) == [(1, 10), (2, 20)]


def test_arrays_are_leaves():
    x = np.ones(3)
    assert leaves((x, [x]))[1] is x


@pytest.mark.parametrize(
    ("tree", "other", "message"),
    [
        ((1, 2), (1,), "expected a tuple of 2, got a tuple of 1"),
        ([1], 1, "expected a list of 1, got one int"),
        ({"a": 1}, {"b": 1}, "expected a dict of 'a', got a dict of 'b'"),
        ({"a": (1, 2)}, {"a": {}}, "expected a tuple of 2, got a dict of nothing"),
        (line(1, 2), {"slope": 1, "shift": 2}, "expected one Line, got a dict of"),
        (line(1, 2), Fit(1, shift=2), "expected one Line, got one Fit"),
        (line((1, 2), 2), line(1, 2), "expected a tuple of 2, got one int"),
    ],
)
def test_trees_that_do_not_match(tree, other, message):
    with pytest.raises(ValueError, match=message):
        list(pairs(tree, other))
