"""The messages: the op, what it met, the way out."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.engine.errors import core_dimensions, explain_failure


def explain(signature, *shapes, error=None):
    values = [np.empty(shape) for shape in shapes]
    error = error or ValueError("numpy's words")
    return explain_failure("op", signature, values, None, error)


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("()->()", [[]]),
        ("(),()->()", [[], []]),
        ("(m?,k),(k,n?)->(m?,n?)", [["m?", "k"], ["k", "n?"]]),
        ("(m?,k),(n,k),(n)->(m?,n)", [["m?", "k"], ["n", "k"], ["n"]]),
    ],
)
def test_core_dimensions_are_those_of_the_inputs(signature, inputs):
    assert core_dimensions(signature) == inputs


@pytest.mark.parametrize(
    ("signature", "shapes", "reason"),
    [
        (
            "(m?,k),(k,n?)->(m?,n?)",
            [(4, 3), (4, 1)],
            "shapes (4, 3) and (4, 1) do not align: 3 (dim 1) != 4 (dim 0)",
        ),
        (
            "(m?,k),(k,n?)->(m?,n?)",
            [(3,), (4,)],
            "shapes (3,) and (4,) do not align: 3 (dim 0) != 4 (dim 0)",
        ),
        (
            "(m?,k),(k,n?)->(m?,n?)",
            [(7, 2, 3), (7, 4, 5)],
            "shapes (7, 2, 3) and (7, 4, 5) do not align: 3 (dim 2) != 4 (dim 1)",
        ),
        (
            "(m?,k),(n,k),(n)->(m?,n)",
            [(5, 2), (3, 2), (4,)],
            "shapes (5, 2) and (3, 2) and (4,) do not align: 3 (dim 0) != 4 (dim 0)",
        ),
        (
            "(m?,k),(n,k),(n)->(m?,n)",
            [(5, 2), (2,), (4,)],
            "shapes (5, 2) and (2,) and (4,) do not fit (m?,k),(n,k),(n)->(m?,n): "
            "too few dimensions",
        ),
        (
            "(),()->()",
            [(2, 3), (4,)],
            "shapes (2, 3) and (4,) do not broadcast: 3 (dim 1) != 4 (dim 0); aligned "
            "from the right, sizes must be equal or 1",
        ),
        (
            "(),(),()->()",
            [(2, 1), (3,), (5, 3)],
            "shapes (2, 1) and (3,) and (5, 3) do not broadcast: 2 (dim 0) != 5 "
            "(dim 0); aligned from the right, sizes must be equal or 1",
        ),
        (
            "(m?,k),(k,n?)->(m?,n?)",
            [(2, 4, 3), (5, 3, 4)],
            "shapes (2, 4, 3) and (5, 3, 4) do not broadcast: 2 (dim 0) != 5 (dim 0); "
            "aligned from the right, sizes must be equal or 1",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_told_by_the_first_fault(signature, shapes, reason):
    error = explain(signature, *shapes)
    assert type(error) is ValueError
    assert str(error) == f"op: {reason}"


@pytest.mark.parametrize(
    ("signature", "shapes"),
    [
        ("(),()->()", [(2, 3), (3,)]),
        ("(),()->()", [(2, 1), (1, 3)]),
        ("(),()->()", [(), (3,)]),
        ("(m?,k),(k,n?)->(m?,n?)", [(3,), (3, 4)]),
        (None, [(2,), (3,)]),
    ],
)
def test_where_shapes_fit_the_inputs_are_told_with_numpys_words(signature, shapes):
    met = ", ".join(f"float64 {shape}" for shape in shapes)
    assert str(explain(signature, *shapes)) == f"op: numpy's words (inputs: {met})"


def test_inputs_without_dtype_and_parameters_are_told_as_they_are():
    error = explain_failure(
        "op", None, [np.float32(1), 2.5, "x"], {"axis": 3}, ValueError("no")
    )
    assert str(error) == "op: no (inputs: float32 (), 2.5, 'x', axis=3)"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ValueError, ValueError),
        (OverflowError, ValueError),
        # These are ValueErrors, and who catches NumPy's catches ours.
        (np.linalg.LinAlgError, np.linalg.LinAlgError),
        (np.exceptions.AxisError, np.exceptions.AxisError),
        (TypeError, TypeError),
        (IndexError, IndexError),
    ],
)
def test_errors_are_of_few_kinds(raised, told):
    assert type(explain("()->()", (2,), error=raised("no"))) is told
    assert issubclass(told, ValueError | TypeError | IndexError)
    of_shapes = explain("(n,n)->()", (2, 3), error=raised("no"))
    assert type(of_shapes) is (told if issubclass(told, ValueError) else ValueError)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda x: x + np.ones(2),
            ValueError,
            r"add: shapes \(2, 3\) and \(2,\) do not broadcast: 3 \(dim 1\) != 2 \(dim",
        ),
        (
            lambda x: x @ np.ones((2, 3)),
            ValueError,
            r"matmul: shapes \(2, 3\) and \(2, 3\) do not align: 3 \(dim 1\) != 2",
        ),
        (
            lambda x: tg.linear(x, np.ones((4, 2)), np.ones(4)),
            ValueError,
            r"linear: shapes .* do not align: 3 \(dim 1\) != 2 \(dim 1\)",
        ),
        (
            lambda x: x.reshape(4, 2),
            ValueError,
            r"reshape: .*float64 \(2, 3\), shape=\(4, 2\)",
        ),
        (
            lambda x: x.sum(axis=2),
            np.exceptions.AxisError,
            r"sum: axis 2 .*float64 \(2, 3\)",
        ),
        (lambda x: x[5], IndexError, r"getitem: index 5 is out of bounds"),
        (lambda x: x["a"], IndexError, r"getitem: .*float64 \(2, 3\), index='a'"),
        (lambda x: x @ 2.0, ValueError, r"matmul: .*too few dimensions"),
    ],
)
def test_every_op_explains_itself(call, kind, message):
    for requires_grad in (False, True):
        with pytest.raises(kind, match=message) as caught:
            call(tg.Tensor(np.ones((2, 3)), requires_grad=requires_grad))
        assert type(caught.value) is kind
