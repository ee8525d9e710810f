"""The table of ops, as type checkers and editors see it.

Written by ``python tests/typed_ops.py`` from the declarations; do not edit.
"""

from collections.abc import Iterable, Sequence
from numpy.typing import DTypeLike
from tinygrad_edu.engine.graph import Node
from tinygrad_edu.engine.tensor import Tensor as Tensor
from tinygrad_edu.ops.linalg import EighResult, QRResult, SVDResult, SlogdetResult
from tinygrad_edu.support.kinds import Axes, Operand, Shape
from typing import Any, Literal, overload

__all__ = [
    "abs",
    "add",
    "add_at",
    "append",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "array_split",
    "astype",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "average",
    "broadcast_to",
    "cbrt",
    "ceil",
    "central_differences",
    "clip",
    "column_stack",
    "concatenate",
    "convolve",
    "copysign",
    "corrcoef",
    "cos",
    "cosh",
    "cov",
    "cross",
    "cumprod",
    "cumsum",
    "deg2rad",
    "diag",
    "diagonal",
    "diff",
    "divide",
    "dot",
    "dsplit",
    "dstack",
    "einsum",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "flip",
    "fliplr",
    "flipud",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "getitem",
    "heaviside",
    "hsplit",
    "hstack",
    "hypot",
    "inner",
    "interp",
    "kron",
    "ldexp",
    "linalg",
    "linear",
    "linspace",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_softmax",
    "logaddexp",
    "logaddexp2",
    "logsumexp",
    "make_diagonal",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "nan_to_num",
    "negative",
    "outer",
    "pad",
    "partition",
    "positive",
    "power",
    "prod",
    "ptp",
    "rad2deg",
    "ravel",
    "reciprocal",
    "relu",
    "remainder",
    "repeat",
    "reshape",
    "rint",
    "roll",
    "rollaxis",
    "rot90",
    "round",
    "select",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squared_norm",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "trace",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "var",
    "vdot",
    "vsplit",
    "vstack",
    "where",
    "xlog1py",
    "xlogy",
]

class TensorMethods(Node):
    def abs(self) -> Tensor:
        """The absolute value."""
    def add(self, b: Operand) -> Tensor:
        """Add."""
    def add_at(self, index: Any, shape: Shape) -> Tensor:
        """Add `x` to zeros of a shape at an index; repeated positions are summed."""
    def append(self, values: Operand, axis: int | None = None) -> Tensor:
        """Join two arrays along an axis; without one, flatten them first."""
    def arccos(self) -> Tensor:
        """The angle between 0 and pi whose cosine is `x`."""
    def arccosh(self) -> Tensor:
        """The positive inverse of the hyperbolic cosine."""
    def arcsin(self) -> Tensor:
        """The angle between -pi/2 and pi/2 whose sine is `x`."""
    def arcsinh(self) -> Tensor:
        """The inverse of the hyperbolic sine."""
    def arctan(self) -> Tensor:
        """The angle between -pi/2 and pi/2 whose tangent is `x`."""
    def arctan2(self, b: Operand) -> Tensor:
        """The angle of the point (`b`, `a`) seen from the origin, between -pi and pi; note the order."""
    def arctanh(self) -> Tensor:
        """The inverse of the hyperbolic tangent."""
    def array_split(self, indices_or_sections: Operand, axis: int = 0) -> list[Tensor]:
        """Split along an axis: at indices, or into a number of nearly equal parts."""
    def astype(self, dtype: DTypeLike) -> Tensor:
        """Convert to another dtype; the gradient is converted back."""
    def atleast_1d(self) -> Tensor:
        """Convert a number to a vector of one; keep arrays of more dimensions."""
    def atleast_2d(self) -> Tensor:
        """Convert a vector to a matrix of one row; keep arrays of more dimensions."""
    def atleast_3d(self) -> Tensor:
        """Add axes up to three: (n) becomes (1, n, 1), and (m, n) becomes (m, n, 1)."""
    def average(self, axis: Axes = None, weights: Operand | None = None, keepdims: bool = False) -> Tensor:
        """The weighted mean: sum(w x) / sum(w)."""
    def broadcast_to(self, shape: Shape) -> Tensor:
        """Repeat along new axes and axes of size 1, as arithmetic does."""
    def cbrt(self) -> Tensor:
        """The cube root; it is negative for a negative number."""
    def ceil(self) -> Tensor:
        """The smallest integer that is not below `x`."""
    def central_differences(self, spacing: Operand = 1.0, axis: Axes = None, edge_order: int = 1) -> Tensor:
        """Slopes along an axis of values on a grid: `numpy.gradient`, no derivative of x."""
    def cholesky(self) -> Tensor:
        """The Cholesky factor of a positive definite x: lower triangular L, with L L^T = x."""
    def clip(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """Limit values to an interval; a bound may be None, a number or an array."""
    def convolve(self, v: Operand, mode: Literal['full', 'same', 'valid'] = 'full') -> Tensor:
        """The convolution of two vectors: y_k is the sum of a_i v_j over i + j = k."""
    def copysign(self, b: Operand) -> Tensor:
        """`a` with the sign of `b`; -0.0 has a sign, too."""
    def corrcoef(self, y: Operand | None = None, rowvar: bool = True) -> Tensor:
        """The correlations of variables: covariances, divided by standard deviations."""
    def cos(self) -> Tensor:
        """The cosine."""
    def cosh(self) -> Tensor:
        """The hyperbolic cosine."""
    def cov(self, y: Operand | None = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Tensor:
        """The covariances of variables, one a row; with ``rowvar=False``, one a column."""
    def cross(self, b: Operand, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
        """The cross product of vectors of 3 numbers."""
    def cumprod(self, axis: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
        """The product up to each element along an axis; without one, over all in order."""
    def cumsum(self, axis: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
        """The sum up to each element along an axis; without one, over all in order."""
    def deg2rad(self) -> Tensor:
        """Convert degrees to radians."""
    def det(self) -> Tensor:
        """The determinant of a matrix."""
    def diag(self, k: int = 0) -> Tensor:
        """Make a matrix with a vector on its diagonal; or return a matrix's diagonal."""
    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The diagonal of a matrix; for a stack, the diagonals along the last axis."""
    def diff(self, n: int = 1, axis: int = -1, prepend: Operand | None = None, append: Operand | None = None) -> Tensor:
        """Take differences of neighbours along an axis, `n` times."""
    def divide(self, b: Operand) -> Tensor:
        """Divide `a` by `b`."""
    def dot(self, b: Operand) -> Tensor:
        """The product of matrices or vectors."""
    def dsplit(self, indices_or_sections: Operand) -> list[Tensor]:
        """Split along the third axis."""
    def eigensystem(self) -> Tensor:
        """The eigenvalues of `eigh` and, in the rows below, its eigenvectors."""
    def eigh(self) -> EighResult:
        """The eigenvalues and eigenvectors of a symmetric matrix x = V diag(w) V^T."""
    def eigvalsh(self) -> Tensor:
        """The eigenvalues of a symmetric matrix, in rising order."""
    def exp(self) -> Tensor:
        """The exponential."""
    def exp2(self) -> Tensor:
        """2 to the power of `x`."""
    def expand_dims(self, axis: int | Sequence[int]) -> Tensor:
        """Insert axes of size 1; `axis` gives their positions in the result."""
    def expm1(self) -> Tensor:
        """exp(x) - 1, exact for small `x`."""
    def flip(self, axis: Axes = None) -> Tensor:
        """Reverse the order of the elements along one axis, several, or all."""
    def fliplr(self) -> Tensor:
        """Reverse the order along the second axis: exchange left and right."""
    def flipud(self) -> Tensor:
        """Reverse the order along the first axis: turn a matrix upside down."""
    def floor(self) -> Tensor:
        """The largest integer that is not above `x`."""
    def floor_divide(self, b: Operand) -> Tensor:
        """Divide and round down: the largest integer that is not above `a` / `b`."""
    def fmax(self, b: Operand) -> Tensor:
        """The larger of two, element by element; if one is NaN, the other one."""
    def fmin(self, b: Operand) -> Tensor:
        """The smaller of two, element by element; if one is NaN, the other one."""
    def fmod(self, b: Operand) -> Tensor:
        """The remainder of a division that is rounded towards 0; it has the sign of `a`."""
    def getitem(self, index: Any) -> Tensor:
        """Return ``x[index]``, with any index that NumPy accepts."""
    def heaviside(self, b: Operand) -> Tensor:
        """The unit step: 0 for negative `a`, 1 for positive `a`, and `b` where `a` is 0."""
    def hsplit(self, indices_or_sections: Operand) -> list[Tensor]:
        """Split along the second axis; split a vector along its only axis."""
    def hypot(self, b: Operand) -> Tensor:
        """The distance of the point (`a`, `b`) from the origin, without overflow."""
    def inner(self, b: Operand) -> Tensor:
        """The inner products of the vectors along the last axes of `a` and `b`."""
    def interp(self, xp: Operand, fp: Operand, left: Operand | None = None, right: Operand | None = None) -> Tensor:
        """Interpolate linearly: the values at `x` of a function that is `fp` at `xp`."""
    def inv(self) -> Tensor:
        """The inverse of a matrix. To multiply by it, `solve` is faster and more exact."""
    def kron(self, b: Operand) -> Tensor:
        """The Kronecker product: replace each element of `a` by the element times `b`."""
    def ldexp(self, exponent: Operand) -> Tensor:
        """`x` times a power of 2; the exponent is an integer, and a constant."""
    def linear(self, w: Operand, b: Operand) -> Tensor:
        """Compute one layer, z = x w^T + b: one example per row of `x`; `w` is (out, in)."""
    def linspace(self, stop: Operand, num: int = 50, endpoint: bool = True, axis: int = 0) -> Tensor:
        """Return `num` numbers from `start` to `stop`, at equal distances, along an axis."""
    def log(self) -> Tensor:
        """The natural logarithm."""
    def log10(self) -> Tensor:
        """The logarithm to the base 10."""
    def log1p(self) -> Tensor:
        """log(1 + x), exact for small `x`."""
    def log2(self) -> Tensor:
        """The logarithm to the base 2."""
    def log_softmax(self, axis: Axes = -1) -> Tensor:
        """The logarithm of `softmax`; accurate for large `x` and for softmax near 0."""
    def logabsdet(self) -> Tensor:
        """log(abs(det(x))), without overflow; -inf for a singular matrix."""
    def logaddexp(self, b: Operand) -> Tensor:
        """log(exp(a) + exp(b)), without overflow."""
    def logaddexp2(self, b: Operand) -> Tensor:
        """log2(2^a + 2^b), without overflow."""
    def logsumexp(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """log(sum(exp(x))), without overflow: subtract the largest element first."""
    def make_diagonal(self, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
        """Make a matrix with a vector on its diagonal; of a stack of vectors, a stack."""
    def matmul(self, b: Operand) -> Tensor:
        """The product of matrices, or of stacks of them: ``a @ b``."""
    def matrix_power(self, n: int) -> Tensor:
        """The n-th power of a matrix, by repeated squares; of the inverse, if n < 0."""
    def max(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The largest element."""
    def maximum(self, b: Operand) -> Tensor:
        """The larger of two, element by element."""
    def mean(self, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Tensor:
        """The arithmetic mean; for integers, computed in float64."""
    def min(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The smallest element."""
    def minimum(self, b: Operand) -> Tensor:
        """The smaller of two, element by element."""
    def moveaxis(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
        """Move one or more axes to new positions; the others keep their order."""
    def multiply(self, b: Operand) -> Tensor:
        """Multiply, element by element."""
    def nan_to_num(self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
        """Replace NaN and the infinities by numbers; these elements get gradient 0."""
    def negative(self) -> Tensor:
        """Change the sign."""
    def norm(self, ord: float | str | None = None, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The norm of a vector or a matrix; without `ord` and axis, of all elements."""
    def outer(self, b: Operand) -> Tensor:
        """Multiply each element of `a` by each element of `b`; the result is a matrix."""
    def pad(self, pad_width: Any, mode: Literal['constant', 'edge', 'reflect', 'symmetric', 'wrap'] = 'constant', constant_values: Any = 0) -> Tensor:
        """Add margins; `pad_width` is the width for each side of each axis."""
    def partition(self, kth: int | Sequence[int], axis: int | None = -1, kind: Any = 'introselect') -> Tensor:
        """Put the k-th smallest element at index `kth`, and the smaller ones before it."""
    def positive(self) -> Tensor:
        """Copy the value."""
    def power(self, b: Operand) -> Tensor:
        """`a` to the power of `b`. For a negative base, the gradient for `b` is NaN."""
    def prod(self, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Tensor:
        """The product, as a tree of products of two; right even if a factor is 0."""
    def ptp(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """The range from the smallest element to the largest ("peak to peak")."""
    def qr(self) -> QRResult:
        """The decomposition x = Q R, reduced: Q has k columns, k the lesser of m and n."""
    def qr_factors(self) -> Tensor:
        """The factor Q of `qr` and, in the rows below, R; of no more columns than rows."""
    def rad2deg(self) -> Tensor:
        """Convert radians to degrees."""
    def ravel(self, order: Literal['C', 'F'] = 'C') -> Tensor:
        """Flatten to one dimension: row by row, or with order="F" column by column."""
    def reciprocal(self) -> Tensor:
        """Divide 1 by `x`."""
    def relu(self) -> Tensor:
        """The positive part: max(x, 0). NaN stays NaN, also in the gradient."""
    def remainder(self, b: Operand) -> Tensor:
        """The remainder of `floor_divide`; it has the sign of `b`."""
    def repeat(self, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
        """Repeat each element `repeats` times along an axis; without one, flatten first."""
    def rint(self) -> Tensor:
        """The nearest integer; if two are equally near, the even one."""
    def roll(self, shift: int | Sequence[int], axis: Axes = None) -> Tensor:
        """Shift along an axis; elements pushed out at the end return at the start."""
    def rollaxis(self, axis: int, start: int = 0) -> Tensor:
        """Move an axis so that it comes just before the axis `start`."""
    def rot90(self, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
        """Rotate by k right angles, from the first of two axes towards the second."""
    def round(self, decimals: int = 0) -> Tensor:
        """Round to a number of decimals; a tie goes to the even digit."""
    def select(self, choices: Operand, default: Operand = 0) -> Tensor:
        """Choose from a list of arrays, for each element the first whose condition holds."""
    def sigmoid(self) -> Tensor:
        """The logistic function, 1/(1 + e^-x)."""
    def sigmoid_cross_entropy(self, t: Operand) -> Tensor:
        """-t log(a) - (1-t) log(1-a) for a = sigmoid(z), accurate in both tails of `z`."""
    def sign(self) -> Tensor:
        """The sign of `x`: -1, 0 or 1."""
    def sin(self) -> Tensor:
        """The sine."""
    def sinc(self) -> Tensor:
        """sin(pi x) / (pi x), and 1 at x = 0, where it is smooth."""
    def singular_system(self) -> Tensor:
        """The singular values of `svd` and, in the rows below, its vectors U and V."""
    def sinh(self) -> Tensor:
        """The hyperbolic sine."""
    def slogdet(self) -> SlogdetResult:
        """The determinant's sign, a constant, and the logarithm of its absolute value."""
    def softmax(self, axis: Axes = -1) -> Tensor:
        """exp(x) divided by its sum along an axis."""
    def softplus(self) -> Tensor:
        """log(1 + e^x), a smooth `relu`; accurate in both tails, without overflow."""
    def solve(self, b: Operand) -> Tensor:
        """Solve a x = b for x. `b` is a vector if it has one axis, else a matrix."""
    def sort(self, axis: int | None = -1, kind: Any = 'stable') -> Tensor:
        """Sort along an axis; sort all elements if it is None."""
    def split(self, indices_or_sections: Operand, axis: int = 0) -> list[Tensor]:
        """Split along an axis: at indices, or into a number of equal parts."""
    def sqrt(self) -> Tensor:
        """The square root."""
    def square(self) -> Tensor:
        """The square."""
    def squared_norm(self) -> Tensor:
        """The sum of the squares of all elements."""
    def squeeze(self, axis: Axes = None) -> Tensor:
        """Remove axes of size 1: all of them, or those in `axis`."""
    def std(self, axis: Axes = None, dtype: DTypeLike | None = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """The standard deviation: the square root of `var`."""
    def subtract(self, b: Operand) -> Tensor:
        """Subtract `b` from `a`."""
    def sum(self, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Tensor:
        """The sum over one axis, several, or all."""
    def svd(self, full_matrices: bool = True) -> SVDResult:
        """The singular value decomposition x = U diag(S) Vh."""
    def svdvals(self) -> Tensor:
        """The singular values, in falling order."""
    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Exchange two axes."""
    def take(self, indices: Operand, axis: int | None = None, mode: Literal['raise', 'wrap', 'clip'] = 'raise') -> Tensor:
        """Take elements, or slices along an axis, by their indices, which may repeat."""
    def take_along_axis(self, indices: Operand, axis: int | None = -1) -> Tensor:
        """Take elements along an axis by their indices, such as `argsort` returns."""
    def tan(self) -> Tensor:
        """The tangent, with a pole at each odd multiple of pi/2."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
    def tensordot(self, b: Operand, axes: Any = 2) -> Tensor:
        """Sum over pairs of axes: reshape both arrays to matrices and multiply them."""
    def tile(self, reps: int | Sequence[int]) -> Tensor:
        """Repeat the whole array, `reps` times along each axis."""
    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None) -> Tensor:
        """The sum of the diagonal of a matrix, or of each matrix in a stack."""
    def tril(self, k: int = 0) -> Tensor:
        """Keep the lower triangle, up to and including diagonal `k`; set the rest to 0."""
    def triu(self, k: int = 0) -> Tensor:
        """Keep the upper triangle, from diagonal `k` on; set the rest to 0."""
    def trunc(self) -> Tensor:
        """The integer part: drop the digits after the point."""
    def var(self, axis: Axes = None, dtype: DTypeLike | None = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """The variance: the sum of squared deviations from the mean, over n - `ddof`."""
    def vdot(self, b: Operand) -> Tensor:
        """The inner product of two flattened arrays: one number."""
    def vsplit(self, indices_or_sections: Operand) -> list[Tensor]:
        """Split along the first axis of an array of 2 or more dimensions."""
    def where(self, a: Operand, b: Operand) -> Tensor:
        """Choose `a` where the condition is true, else `b`."""
    def xlog1py(self, b: Operand) -> Tensor:
        """a log(1 + b), but 0 where a = 0, even at b = -1; exact for small `b`."""
    def xlogy(self, b: Operand) -> Tensor:
        """a log(b), but 0 where a = 0, even at b = 0, as cross-entropy needs it."""

@overload
def abs(x: Tensor) -> Tensor: ...
@overload
def abs(x: Operand) -> Any:
    """The absolute value."""

@overload
def add(a: Tensor, b: Operand) -> Tensor: ...
@overload
def add(a: Operand, b: Tensor) -> Tensor: ...
@overload
def add(a: Operand, b: Operand) -> Any:
    """Add."""

@overload
def add_at(x: Tensor, index: Any, shape: Shape) -> Tensor: ...
@overload
def add_at(x: Operand, index: Any, shape: Shape) -> Any:
    """Add `x` to zeros of a shape at an index; repeated positions are summed."""

@overload
def append(x: Tensor, values: Operand, axis: int | None = None) -> Tensor: ...
@overload
def append(x: Operand, values: Tensor, axis: int | None = None) -> Tensor: ...
@overload
def append(x: Operand, values: Operand, axis: int | None = None) -> Any:
    """Join two arrays along an axis; without one, flatten them first."""

@overload
def arccos(x: Tensor) -> Tensor: ...
@overload
def arccos(x: Operand) -> Any:
    """The angle between 0 and pi whose cosine is `x`."""

@overload
def arccosh(x: Tensor) -> Tensor: ...
@overload
def arccosh(x: Operand) -> Any:
    """The positive inverse of the hyperbolic cosine."""

@overload
def arcsin(x: Tensor) -> Tensor: ...
@overload
def arcsin(x: Operand) -> Any:
    """The angle between -pi/2 and pi/2 whose sine is `x`."""

@overload
def arcsinh(x: Tensor) -> Tensor: ...
@overload
def arcsinh(x: Operand) -> Any:
    """The inverse of the hyperbolic sine."""

@overload
def arctan(x: Tensor) -> Tensor: ...
@overload
def arctan(x: Operand) -> Any:
    """The angle between -pi/2 and pi/2 whose tangent is `x`."""

@overload
def arctan2(a: Tensor, b: Operand) -> Tensor: ...
@overload
def arctan2(a: Operand, b: Tensor) -> Tensor: ...
@overload
def arctan2(a: Operand, b: Operand) -> Any:
    """The angle of the point (`b`, `a`) seen from the origin, between -pi and pi; note the order."""

@overload
def arctanh(x: Tensor) -> Tensor: ...
@overload
def arctanh(x: Operand) -> Any:
    """The inverse of the hyperbolic tangent."""

@overload
def array_split(x: Tensor, indices_or_sections: Operand, axis: int = 0) -> list[Tensor]: ...
@overload
def array_split(x: Operand, indices_or_sections: Operand, axis: int = 0) -> list[Any]:
    """Split along an axis: at indices, or into a number of nearly equal parts."""

@overload
def astype(x: Tensor, dtype: DTypeLike) -> Tensor: ...
@overload
def astype(x: Operand, dtype: DTypeLike) -> Any:
    """Convert to another dtype; the gradient is converted back."""

@overload
def atleast_1d(x: Tensor) -> Tensor: ...
@overload
def atleast_1d(x: Operand) -> Any:
    """Convert a number to a vector of one; keep arrays of more dimensions."""

@overload
def atleast_2d(x: Tensor) -> Tensor: ...
@overload
def atleast_2d(x: Operand) -> Any:
    """Convert a vector to a matrix of one row; keep arrays of more dimensions."""

@overload
def atleast_3d(x: Tensor) -> Tensor: ...
@overload
def atleast_3d(x: Operand) -> Any:
    """Add axes up to three: (n) becomes (1, n, 1), and (m, n) becomes (m, n, 1)."""

@overload
def average(x: Tensor, axis: Axes = None, weights: Operand | None = None, keepdims: bool = False) -> Tensor: ...
@overload
def average(x: Operand, axis: Axes = None, weights: Operand | None = None, keepdims: bool = False) -> Any:
    """The weighted mean: sum(w x) / sum(w)."""

@overload
def broadcast_to(x: Tensor, shape: Shape) -> Tensor: ...
@overload
def broadcast_to(x: Operand, shape: Shape) -> Any:
    """Repeat along new axes and axes of size 1, as arithmetic does."""

@overload
def cbrt(x: Tensor) -> Tensor: ...
@overload
def cbrt(x: Operand) -> Any:
    """The cube root; it is negative for a negative number."""

@overload
def ceil(x: Tensor) -> Tensor: ...
@overload
def ceil(x: Operand) -> Any:
    """The smallest integer that is not below `x`."""

@overload
def central_differences(x: Tensor, spacing: Operand = 1.0, axis: Axes = None, edge_order: int = 1) -> Tensor: ...
@overload
def central_differences(x: Operand, spacing: Operand = 1.0, axis: Axes = None, edge_order: int = 1) -> Any:
    """Slopes along an axis of values on a grid: `numpy.gradient`, no derivative of x."""

@overload
def clip(x: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor: ...
@overload
def clip(x: Operand, min: Operand | None = None, max: Operand | None = None) -> Any:
    """Limit values to an interval; a bound may be None, a number or an array."""

@overload
def column_stack(arrays: Iterable[Tensor]) -> Tensor: ...
@overload
def column_stack(arrays: Iterable[Operand]) -> Any:
    """Join matrices along the second axis; vectors become columns."""

@overload
def concatenate(arrays: Iterable[Tensor], axis: int | None = 0) -> Tensor: ...
@overload
def concatenate(arrays: Iterable[Operand], axis: int | None = 0) -> Any:
    """Join a list of arrays along an existing axis; None flattens them first."""

@overload
def convolve(a: Tensor, v: Operand, mode: Literal['full', 'same', 'valid'] = 'full') -> Tensor: ...
@overload
def convolve(a: Operand, v: Tensor, mode: Literal['full', 'same', 'valid'] = 'full') -> Tensor: ...
@overload
def convolve(a: Operand, v: Operand, mode: Literal['full', 'same', 'valid'] = 'full') -> Any:
    """The convolution of two vectors: y_k is the sum of a_i v_j over i + j = k."""

@overload
def copysign(a: Tensor, b: Operand) -> Tensor: ...
@overload
def copysign(a: Operand, b: Tensor) -> Tensor: ...
@overload
def copysign(a: Operand, b: Operand) -> Any:
    """`a` with the sign of `b`; -0.0 has a sign, too."""

@overload
def corrcoef(x: Tensor, y: Operand | None = None, rowvar: bool = True) -> Tensor: ...
@overload
def corrcoef(x: Operand, y: Operand | None = None, rowvar: bool = True) -> Any:
    """The correlations of variables: covariances, divided by standard deviations."""

@overload
def cos(x: Tensor) -> Tensor: ...
@overload
def cos(x: Operand) -> Any:
    """The cosine."""

@overload
def cosh(x: Tensor) -> Tensor: ...
@overload
def cosh(x: Operand) -> Any:
    """The hyperbolic cosine."""

@overload
def cov(x: Tensor, y: Operand | None = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Tensor: ...
@overload
def cov(x: Operand, y: Operand | None = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Any:
    """The covariances of variables, one a row; with ``rowvar=False``, one a column."""

@overload
def cross(a: Tensor, b: Operand, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor: ...
@overload
def cross(a: Operand, b: Tensor, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor: ...
@overload
def cross(a: Operand, b: Operand, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The cross product of vectors of 3 numbers."""

@overload
def cumprod(x: Tensor, axis: int | None = None, dtype: DTypeLike | None = None) -> Tensor: ...
@overload
def cumprod(x: Operand, axis: int | None = None, dtype: DTypeLike | None = None) -> Any:
    """The product up to each element along an axis; without one, over all in order."""

@overload
def cumsum(x: Tensor, axis: int | None = None, dtype: DTypeLike | None = None) -> Tensor: ...
@overload
def cumsum(x: Operand, axis: int | None = None, dtype: DTypeLike | None = None) -> Any:
    """The sum up to each element along an axis; without one, over all in order."""

@overload
def deg2rad(x: Tensor) -> Tensor: ...
@overload
def deg2rad(x: Operand) -> Any:
    """Convert degrees to radians."""

@overload
def diag(x: Tensor, k: int = 0) -> Tensor: ...
@overload
def diag(x: Operand, k: int = 0) -> Any:
    """Make a matrix with a vector on its diagonal; or return a matrix's diagonal."""

@overload
def diagonal(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...
@overload
def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of a matrix; for a stack, the diagonals along the last axis."""

@overload
def diff(x: Tensor, n: int = 1, axis: int = -1, prepend: Operand | None = None, append: Operand | None = None) -> Tensor: ...
@overload
def diff(x: Operand, n: int = 1, axis: int = -1, prepend: Operand | None = None, append: Operand | None = None) -> Any:
    """Take differences of neighbours along an axis, `n` times."""

@overload
def divide(a: Tensor, b: Operand) -> Tensor: ...
@overload
def divide(a: Operand, b: Tensor) -> Tensor: ...
@overload
def divide(a: Operand, b: Operand) -> Any:
    """Divide `a` by `b`."""

@overload
def dot(a: Tensor, b: Operand) -> Tensor: ...
@overload
def dot(a: Operand, b: Tensor) -> Tensor: ...
@overload
def dot(a: Operand, b: Operand) -> Any:
    """The product of matrices or vectors."""

@overload
def dsplit(x: Tensor, indices_or_sections: Operand) -> list[Tensor]: ...
@overload
def dsplit(x: Operand, indices_or_sections: Operand) -> list[Any]:
    """Split along the third axis."""

@overload
def dstack(arrays: Iterable[Tensor]) -> Tensor: ...
@overload
def dstack(arrays: Iterable[Operand]) -> Any:
    """Join along the third axis."""

@overload
def einsum(subscripts: Any, *arrays: Tensor, optimize: Any = False) -> Tensor: ...
@overload
def einsum(subscripts: Any, *arrays: Operand, optimize: Any = False) -> Any:
    """Compute the sum of products described by NumPy's einsum subscripts."""

@overload
def exp(x: Tensor) -> Tensor: ...
@overload
def exp(x: Operand) -> Any:
    """The exponential."""

@overload
def exp2(x: Tensor) -> Tensor: ...
@overload
def exp2(x: Operand) -> Any:
    """2 to the power of `x`."""

@overload
def expand_dims(x: Tensor, axis: int | Sequence[int]) -> Tensor: ...
@overload
def expand_dims(x: Operand, axis: int | Sequence[int]) -> Any:
    """Insert axes of size 1; `axis` gives their positions in the result."""

@overload
def expm1(x: Tensor) -> Tensor: ...
@overload
def expm1(x: Operand) -> Any:
    """exp(x) - 1, exact for small `x`."""

@overload
def flip(x: Tensor, axis: Axes = None) -> Tensor: ...
@overload
def flip(x: Operand, axis: Axes = None) -> Any:
    """Reverse the order of the elements along one axis, several, or all."""

@overload
def fliplr(x: Tensor) -> Tensor: ...
@overload
def fliplr(x: Operand) -> Any:
    """Reverse the order along the second axis: exchange left and right."""

@overload
def flipud(x: Tensor) -> Tensor: ...
@overload
def flipud(x: Operand) -> Any:
    """Reverse the order along the first axis: turn a matrix upside down."""

@overload
def floor(x: Tensor) -> Tensor: ...
@overload
def floor(x: Operand) -> Any:
    """The largest integer that is not above `x`."""

@overload
def floor_divide(a: Tensor, b: Operand) -> Tensor: ...
@overload
def floor_divide(a: Operand, b: Tensor) -> Tensor: ...
@overload
def floor_divide(a: Operand, b: Operand) -> Any:
    """Divide and round down: the largest integer that is not above `a` / `b`."""

@overload
def fmax(a: Tensor, b: Operand) -> Tensor: ...
@overload
def fmax(a: Operand, b: Tensor) -> Tensor: ...
@overload
def fmax(a: Operand, b: Operand) -> Any:
    """The larger of two, element by element; if one is NaN, the other one."""

@overload
def fmin(a: Tensor, b: Operand) -> Tensor: ...
@overload
def fmin(a: Operand, b: Tensor) -> Tensor: ...
@overload
def fmin(a: Operand, b: Operand) -> Any:
    """The smaller of two, element by element; if one is NaN, the other one."""

@overload
def fmod(a: Tensor, b: Operand) -> Tensor: ...
@overload
def fmod(a: Operand, b: Tensor) -> Tensor: ...
@overload
def fmod(a: Operand, b: Operand) -> Any:
    """The remainder of a division that is rounded towards 0; it has the sign of `a`."""

@overload
def getitem(x: Tensor, index: Any) -> Tensor: ...
@overload
def getitem(x: Operand, index: Any) -> Any:
    """Return ``x[index]``, with any index that NumPy accepts."""

@overload
def heaviside(a: Tensor, b: Operand) -> Tensor: ...
@overload
def heaviside(a: Operand, b: Tensor) -> Tensor: ...
@overload
def heaviside(a: Operand, b: Operand) -> Any:
    """The unit step: 0 for negative `a`, 1 for positive `a`, and `b` where `a` is 0."""

@overload
def hsplit(x: Tensor, indices_or_sections: Operand) -> list[Tensor]: ...
@overload
def hsplit(x: Operand, indices_or_sections: Operand) -> list[Any]:
    """Split along the second axis; split a vector along its only axis."""

@overload
def hstack(arrays: Iterable[Tensor]) -> Tensor: ...
@overload
def hstack(arrays: Iterable[Operand]) -> Any:
    """Join along the second axis; join vectors end to end."""

@overload
def hypot(a: Tensor, b: Operand) -> Tensor: ...
@overload
def hypot(a: Operand, b: Tensor) -> Tensor: ...
@overload
def hypot(a: Operand, b: Operand) -> Any:
    """The distance of the point (`a`, `b`) from the origin, without overflow."""

@overload
def inner(a: Tensor, b: Operand) -> Tensor: ...
@overload
def inner(a: Operand, b: Tensor) -> Tensor: ...
@overload
def inner(a: Operand, b: Operand) -> Any:
    """The inner products of the vectors along the last axes of `a` and `b`."""

@overload
def interp(x: Tensor, xp: Operand, fp: Operand, left: Operand | None = None, right: Operand | None = None) -> Tensor: ...
@overload
def interp(x: Operand, xp: Tensor, fp: Operand, left: Operand | None = None, right: Operand | None = None) -> Tensor: ...
@overload
def interp(x: Operand, xp: Operand, fp: Tensor, left: Operand | None = None, right: Operand | None = None) -> Tensor: ...
@overload
def interp(x: Operand, xp: Operand, fp: Operand, left: Operand | None = None, right: Operand | None = None) -> Any:
    """Interpolate linearly: the values at `x` of a function that is `fp` at `xp`."""

@overload
def kron(a: Tensor, b: Operand) -> Tensor: ...
@overload
def kron(a: Operand, b: Tensor) -> Tensor: ...
@overload
def kron(a: Operand, b: Operand) -> Any:
    """The Kronecker product: replace each element of `a` by the element times `b`."""

@overload
def ldexp(x: Tensor, exponent: Operand) -> Tensor: ...
@overload
def ldexp(x: Operand, exponent: Operand) -> Any:
    """`x` times a power of 2; the exponent is an integer, and a constant."""

class _Linalg:
    @overload
    def cholesky(self, x: Tensor) -> Tensor: ...
    @overload
    def cholesky(self, x: Operand) -> Any:
        """The Cholesky factor of a positive definite x: lower triangular L, with L L^T = x."""
    @overload
    def det(self, x: Tensor) -> Tensor: ...
    @overload
    def det(self, x: Operand) -> Any:
        """The determinant of a matrix."""
    @overload
    def eigensystem(self, x: Tensor) -> Tensor: ...
    @overload
    def eigensystem(self, x: Operand) -> Any:
        """The eigenvalues of `eigh` and, in the rows below, its eigenvectors."""
    @overload
    def eigh(self, x: Tensor) -> EighResult: ...
    @overload
    def eigh(self, x: Operand) -> EighResult:
        """The eigenvalues and eigenvectors of a symmetric matrix x = V diag(w) V^T."""
    @overload
    def eigvalsh(self, x: Tensor) -> Tensor: ...
    @overload
    def eigvalsh(self, x: Operand) -> Any:
        """The eigenvalues of a symmetric matrix, in rising order."""
    @overload
    def inv(self, x: Tensor) -> Tensor: ...
    @overload
    def inv(self, x: Operand) -> Any:
        """The inverse of a matrix. To multiply by it, `solve` is faster and more exact."""
    @overload
    def logabsdet(self, x: Tensor) -> Tensor: ...
    @overload
    def logabsdet(self, x: Operand) -> Any:
        """log(abs(det(x))), without overflow; -inf for a singular matrix."""
    @overload
    def matrix_power(self, x: Tensor, n: int) -> Tensor: ...
    @overload
    def matrix_power(self, x: Operand, n: int) -> Any:
        """The n-th power of a matrix, by repeated squares; of the inverse, if n < 0."""
    @overload
    def multi_dot(self, arrays: Iterable[Tensor]) -> Tensor: ...
    @overload
    def multi_dot(self, arrays: Iterable[Operand]) -> Any:
        """The product of several matrices, in the order that needs the fewest products."""
    @overload
    def norm(self, x: Tensor, ord: float | str | None = None, axis: Axes = None, keepdims: bool = False) -> Tensor: ...
    @overload
    def norm(self, x: Operand, ord: float | str | None = None, axis: Axes = None, keepdims: bool = False) -> Any:
        """The norm of a vector or a matrix; without `ord` and axis, of all elements."""
    @overload
    def qr(self, x: Tensor) -> QRResult: ...
    @overload
    def qr(self, x: Operand) -> QRResult:
        """The decomposition x = Q R, reduced: Q has k columns, k the lesser of m and n."""
    @overload
    def qr_factors(self, x: Tensor) -> Tensor: ...
    @overload
    def qr_factors(self, x: Operand) -> Any:
        """The factor Q of `qr` and, in the rows below, R; of no more columns than rows."""
    @overload
    def singular_system(self, x: Tensor) -> Tensor: ...
    @overload
    def singular_system(self, x: Operand) -> Any:
        """The singular values of `svd` and, in the rows below, its vectors U and V."""
    @overload
    def slogdet(self, x: Tensor) -> SlogdetResult: ...
    @overload
    def slogdet(self, x: Operand) -> SlogdetResult:
        """The determinant's sign, a constant, and the logarithm of its absolute value."""
    @overload
    def solve(self, a: Tensor, b: Operand) -> Tensor: ...
    @overload
    def solve(self, a: Operand, b: Tensor) -> Tensor: ...
    @overload
    def solve(self, a: Operand, b: Operand) -> Any:
        """Solve a x = b for x. `b` is a vector if it has one axis, else a matrix."""
    @overload
    def svd(self, x: Tensor, full_matrices: bool = True) -> SVDResult: ...
    @overload
    def svd(self, x: Operand, full_matrices: bool = True) -> SVDResult:
        """The singular value decomposition x = U diag(S) Vh."""
    @overload
    def svdvals(self, x: Tensor) -> Tensor: ...
    @overload
    def svdvals(self, x: Operand) -> Any:
        """The singular values, in falling order."""

linalg: _Linalg

@overload
def linear(x: Tensor, w: Operand, b: Operand) -> Tensor: ...
@overload
def linear(x: Operand, w: Tensor, b: Operand) -> Tensor: ...
@overload
def linear(x: Operand, w: Operand, b: Tensor) -> Tensor: ...
@overload
def linear(x: Operand, w: Operand, b: Operand) -> Any:
    """Compute one layer, z = x w^T + b: one example per row of `x`; `w` is (out, in)."""

@overload
def linspace(start: Tensor, stop: Operand, num: int = 50, endpoint: bool = True, axis: int = 0) -> Tensor: ...
@overload
def linspace(start: Operand, stop: Tensor, num: int = 50, endpoint: bool = True, axis: int = 0) -> Tensor: ...
@overload
def linspace(start: Operand, stop: Operand, num: int = 50, endpoint: bool = True, axis: int = 0) -> Any:
    """Return `num` numbers from `start` to `stop`, at equal distances, along an axis."""

@overload
def log(x: Tensor) -> Tensor: ...
@overload
def log(x: Operand) -> Any:
    """The natural logarithm."""

@overload
def log10(x: Tensor) -> Tensor: ...
@overload
def log10(x: Operand) -> Any:
    """The logarithm to the base 10."""

@overload
def log1p(x: Tensor) -> Tensor: ...
@overload
def log1p(x: Operand) -> Any:
    """log(1 + x), exact for small `x`."""

@overload
def log2(x: Tensor) -> Tensor: ...
@overload
def log2(x: Operand) -> Any:
    """The logarithm to the base 2."""

@overload
def log_softmax(x: Tensor, axis: Axes = -1) -> Tensor: ...
@overload
def log_softmax(x: Operand, axis: Axes = -1) -> Any:
    """The logarithm of `softmax`; accurate for large `x` and for softmax near 0."""

@overload
def logaddexp(a: Tensor, b: Operand) -> Tensor: ...
@overload
def logaddexp(a: Operand, b: Tensor) -> Tensor: ...
@overload
def logaddexp(a: Operand, b: Operand) -> Any:
    """log(exp(a) + exp(b)), without overflow."""

@overload
def logaddexp2(a: Tensor, b: Operand) -> Tensor: ...
@overload
def logaddexp2(a: Operand, b: Tensor) -> Tensor: ...
@overload
def logaddexp2(a: Operand, b: Operand) -> Any:
    """log2(2^a + 2^b), without overflow."""

@overload
def logsumexp(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor: ...
@overload
def logsumexp(x: Operand, axis: Axes = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))), without overflow: subtract the largest element first."""

@overload
def make_diagonal(x: Tensor, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor: ...
@overload
def make_diagonal(x: Operand, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    """Make a matrix with a vector on its diagonal; of a stack of vectors, a stack."""

@overload
def matmul(a: Tensor, b: Operand) -> Tensor: ...
@overload
def matmul(a: Operand, b: Tensor) -> Tensor: ...
@overload
def matmul(a: Operand, b: Operand) -> Any:
    """The product of matrices, or of stacks of them: ``a @ b``."""

@overload
def max(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor: ...
@overload
def max(x: Operand, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest element."""

@overload
def maximum(a: Tensor, b: Operand) -> Tensor: ...
@overload
def maximum(a: Operand, b: Tensor) -> Tensor: ...
@overload
def maximum(a: Operand, b: Operand) -> Any:
    """The larger of two, element by element."""

@overload
def mean(x: Tensor, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Tensor: ...
@overload
def mean(x: Operand, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Any:
    """The arithmetic mean; for integers, computed in float64."""

@overload
def min(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor: ...
@overload
def min(x: Operand, axis: Axes = None, keepdims: bool = False) -> Any:
    """The smallest element."""

@overload
def minimum(a: Tensor, b: Operand) -> Tensor: ...
@overload
def minimum(a: Operand, b: Tensor) -> Tensor: ...
@overload
def minimum(a: Operand, b: Operand) -> Any:
    """The smaller of two, element by element."""

@overload
def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor: ...
@overload
def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Move one or more axes to new positions; the others keep their order."""

@overload
def multiply(a: Tensor, b: Operand) -> Tensor: ...
@overload
def multiply(a: Operand, b: Tensor) -> Tensor: ...
@overload
def multiply(a: Operand, b: Operand) -> Any:
    """Multiply, element by element."""

@overload
def nan_to_num(x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor: ...
@overload
def nan_to_num(x: Operand, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """Replace NaN and the infinities by numbers; these elements get gradient 0."""

@overload
def negative(x: Tensor) -> Tensor: ...
@overload
def negative(x: Operand) -> Any:
    """Change the sign."""

@overload
def outer(a: Tensor, b: Operand) -> Tensor: ...
@overload
def outer(a: Operand, b: Tensor) -> Tensor: ...
@overload
def outer(a: Operand, b: Operand) -> Any:
    """Multiply each element of `a` by each element of `b`; the result is a matrix."""

@overload
def pad(x: Tensor, pad_width: Any, mode: Literal['constant', 'edge', 'reflect', 'symmetric', 'wrap'] = 'constant', constant_values: Any = 0) -> Tensor: ...
@overload
def pad(x: Operand, pad_width: Any, mode: Literal['constant', 'edge', 'reflect', 'symmetric', 'wrap'] = 'constant', constant_values: Any = 0) -> Any:
    """Add margins; `pad_width` is the width for each side of each axis."""

@overload
def partition(x: Tensor, kth: int | Sequence[int], axis: int | None = -1, kind: Any = 'introselect') -> Tensor: ...
@overload
def partition(x: Operand, kth: int | Sequence[int], axis: int | None = -1, kind: Any = 'introselect') -> Any:
    """Put the k-th smallest element at index `kth`, and the smaller ones before it."""

@overload
def positive(x: Tensor) -> Tensor: ...
@overload
def positive(x: Operand) -> Any:
    """Copy the value."""

@overload
def power(a: Tensor, b: Operand) -> Tensor: ...
@overload
def power(a: Operand, b: Tensor) -> Tensor: ...
@overload
def power(a: Operand, b: Operand) -> Any:
    """`a` to the power of `b`. For a negative base, the gradient for `b` is NaN."""

@overload
def prod(x: Tensor, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Tensor: ...
@overload
def prod(x: Operand, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Any:
    """The product, as a tree of products of two; right even if a factor is 0."""

@overload
def ptp(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor: ...
@overload
def ptp(x: Operand, axis: Axes = None, keepdims: bool = False) -> Any:
    """The range from the smallest element to the largest ("peak to peak")."""

@overload
def rad2deg(x: Tensor) -> Tensor: ...
@overload
def rad2deg(x: Operand) -> Any:
    """Convert radians to degrees."""

@overload
def ravel(x: Tensor, order: Literal['C', 'F'] = 'C') -> Tensor: ...
@overload
def ravel(x: Operand, order: Literal['C', 'F'] = 'C') -> Any:
    """Flatten to one dimension: row by row, or with order="F" column by column."""

@overload
def reciprocal(x: Tensor) -> Tensor: ...
@overload
def reciprocal(x: Operand) -> Any:
    """Divide 1 by `x`."""

@overload
def relu(x: Tensor) -> Tensor: ...
@overload
def relu(x: Operand) -> Any:
    """The positive part: max(x, 0). NaN stays NaN, also in the gradient."""

@overload
def remainder(a: Tensor, b: Operand) -> Tensor: ...
@overload
def remainder(a: Operand, b: Tensor) -> Tensor: ...
@overload
def remainder(a: Operand, b: Operand) -> Any:
    """The remainder of `floor_divide`; it has the sign of `b`."""

@overload
def repeat(x: Tensor, repeats: int | Sequence[int], axis: int | None = None) -> Tensor: ...
@overload
def repeat(x: Operand, repeats: int | Sequence[int], axis: int | None = None) -> Any:
    """Repeat each element `repeats` times along an axis; without one, flatten first."""

@overload
def reshape(x: Tensor, shape: Shape) -> Tensor: ...
@overload
def reshape(x: Operand, shape: Shape) -> Any:
    """Change the shape, and keep the elements and their order."""

@overload
def rint(x: Tensor) -> Tensor: ...
@overload
def rint(x: Operand) -> Any:
    """The nearest integer; if two are equally near, the even one."""

@overload
def roll(x: Tensor, shift: int | Sequence[int], axis: Axes = None) -> Tensor: ...
@overload
def roll(x: Operand, shift: int | Sequence[int], axis: Axes = None) -> Any:
    """Shift along an axis; elements pushed out at the end return at the start."""

@overload
def rollaxis(x: Tensor, axis: int, start: int = 0) -> Tensor: ...
@overload
def rollaxis(x: Operand, axis: int, start: int = 0) -> Any:
    """Move an axis so that it comes just before the axis `start`."""

@overload
def rot90(x: Tensor, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor: ...
@overload
def rot90(x: Operand, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Rotate by k right angles, from the first of two axes towards the second."""

@overload
def round(x: Tensor, decimals: int = 0) -> Tensor: ...
@overload
def round(x: Operand, decimals: int = 0) -> Any:
    """Round to a number of decimals; a tie goes to the even digit."""

@overload
def select(condition: Tensor, choices: Operand, default: Operand = 0) -> Tensor: ...
@overload
def select(condition: Operand, choices: Tensor, default: Operand = 0) -> Tensor: ...
@overload
def select(condition: Operand, choices: Operand, default: Operand = 0) -> Any:
    """Choose from a list of arrays, for each element the first whose condition holds."""

@overload
def sigmoid(x: Tensor) -> Tensor: ...
@overload
def sigmoid(x: Operand) -> Any:
    """The logistic function, 1/(1 + e^-x)."""

@overload
def sigmoid_cross_entropy(z: Tensor, t: Operand) -> Tensor: ...
@overload
def sigmoid_cross_entropy(z: Operand, t: Tensor) -> Tensor: ...
@overload
def sigmoid_cross_entropy(z: Operand, t: Operand) -> Any:
    """-t log(a) - (1-t) log(1-a) for a = sigmoid(z), accurate in both tails of `z`."""

@overload
def sign(x: Tensor) -> Tensor: ...
@overload
def sign(x: Operand) -> Any:
    """The sign of `x`: -1, 0 or 1."""

@overload
def sin(x: Tensor) -> Tensor: ...
@overload
def sin(x: Operand) -> Any:
    """The sine."""

@overload
def sinc(x: Tensor) -> Tensor: ...
@overload
def sinc(x: Operand) -> Any:
    """sin(pi x) / (pi x), and 1 at x = 0, where it is smooth."""

@overload
def sinh(x: Tensor) -> Tensor: ...
@overload
def sinh(x: Operand) -> Any:
    """The hyperbolic sine."""

@overload
def softmax(x: Tensor, axis: Axes = -1) -> Tensor: ...
@overload
def softmax(x: Operand, axis: Axes = -1) -> Any:
    """exp(x) divided by its sum along an axis."""

@overload
def softplus(x: Tensor) -> Tensor: ...
@overload
def softplus(x: Operand) -> Any:
    """log(1 + e^x), a smooth `relu`; accurate in both tails, without overflow."""

@overload
def sort(x: Tensor, axis: int | None = -1, kind: Any = 'stable') -> Tensor: ...
@overload
def sort(x: Operand, axis: int | None = -1, kind: Any = 'stable') -> Any:
    """Sort along an axis; sort all elements if it is None."""

@overload
def split(x: Tensor, indices_or_sections: Operand, axis: int = 0) -> list[Tensor]: ...
@overload
def split(x: Operand, indices_or_sections: Operand, axis: int = 0) -> list[Any]:
    """Split along an axis: at indices, or into a number of equal parts."""

@overload
def sqrt(x: Tensor) -> Tensor: ...
@overload
def sqrt(x: Operand) -> Any:
    """The square root."""

@overload
def square(x: Tensor) -> Tensor: ...
@overload
def square(x: Operand) -> Any:
    """The square."""

@overload
def squared_norm(x: Tensor) -> Tensor: ...
@overload
def squared_norm(x: Operand) -> Any:
    """The sum of the squares of all elements."""

@overload
def squeeze(x: Tensor, axis: Axes = None) -> Tensor: ...
@overload
def squeeze(x: Operand, axis: Axes = None) -> Any:
    """Remove axes of size 1: all of them, or those in `axis`."""

@overload
def stack(arrays: Iterable[Tensor], axis: int = 0) -> Tensor: ...
@overload
def stack(arrays: Iterable[Operand], axis: int = 0) -> Any:
    """Join arrays of equal shapes along a new axis."""

@overload
def std(x: Tensor, axis: Axes = None, dtype: DTypeLike | None = None, ddof: float = 0, keepdims: bool = False) -> Tensor: ...
@overload
def std(x: Operand, axis: Axes = None, dtype: DTypeLike | None = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation: the square root of `var`."""

@overload
def subtract(a: Tensor, b: Operand) -> Tensor: ...
@overload
def subtract(a: Operand, b: Tensor) -> Tensor: ...
@overload
def subtract(a: Operand, b: Operand) -> Any:
    """Subtract `b` from `a`."""

@overload
def sum(x: Tensor, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Tensor: ...
@overload
def sum(x: Operand, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False) -> Any:
    """The sum over one axis, several, or all."""

@overload
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor: ...
@overload
def swapaxes(x: Operand, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""

@overload
def take(x: Tensor, indices: Operand, axis: int | None = None, mode: Literal['raise', 'wrap', 'clip'] = 'raise') -> Tensor: ...
@overload
def take(x: Operand, indices: Operand, axis: int | None = None, mode: Literal['raise', 'wrap', 'clip'] = 'raise') -> Any:
    """Take elements, or slices along an axis, by their indices, which may repeat."""

@overload
def take_along_axis(x: Tensor, indices: Operand, axis: int | None = -1) -> Tensor: ...
@overload
def take_along_axis(x: Operand, indices: Operand, axis: int | None = -1) -> Any:
    """Take elements along an axis by their indices, such as `argsort` returns."""

@overload
def tan(x: Tensor) -> Tensor: ...
@overload
def tan(x: Operand) -> Any:
    """The tangent, with a pole at each odd multiple of pi/2."""

@overload
def tanh(x: Tensor) -> Tensor: ...
@overload
def tanh(x: Operand) -> Any:
    """The hyperbolic tangent."""

@overload
def tensordot(a: Tensor, b: Operand, axes: Any = 2) -> Tensor: ...
@overload
def tensordot(a: Operand, b: Tensor, axes: Any = 2) -> Tensor: ...
@overload
def tensordot(a: Operand, b: Operand, axes: Any = 2) -> Any:
    """Sum over pairs of axes: reshape both arrays to matrices and multiply them."""

@overload
def tile(x: Tensor, reps: int | Sequence[int]) -> Tensor: ...
@overload
def tile(x: Operand, reps: int | Sequence[int]) -> Any:
    """Repeat the whole array, `reps` times along each axis."""

@overload
def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None) -> Tensor: ...
@overload
def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None) -> Any:
    """The sum of the diagonal of a matrix, or of each matrix in a stack."""

@overload
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor: ...
@overload
def transpose(x: Operand, axes: Sequence[int] | None = None) -> Any:
    """Permute the axes; reverse them if `axes` is None."""

@overload
def tril(x: Tensor, k: int = 0) -> Tensor: ...
@overload
def tril(x: Operand, k: int = 0) -> Any:
    """Keep the lower triangle, up to and including diagonal `k`; set the rest to 0."""

@overload
def triu(x: Tensor, k: int = 0) -> Tensor: ...
@overload
def triu(x: Operand, k: int = 0) -> Any:
    """Keep the upper triangle, from diagonal `k` on; set the rest to 0."""

@overload
def trunc(x: Tensor) -> Tensor: ...
@overload
def trunc(x: Operand) -> Any:
    """The integer part: drop the digits after the point."""

@overload
def var(x: Tensor, axis: Axes = None, dtype: DTypeLike | None = None, ddof: float = 0, keepdims: bool = False) -> Tensor: ...
@overload
def var(x: Operand, axis: Axes = None, dtype: DTypeLike | None = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The variance: the sum of squared deviations from the mean, over n - `ddof`."""

@overload
def vdot(a: Tensor, b: Operand) -> Tensor: ...
@overload
def vdot(a: Operand, b: Tensor) -> Tensor: ...
@overload
def vdot(a: Operand, b: Operand) -> Any:
    """The inner product of two flattened arrays: one number."""

@overload
def vsplit(x: Tensor, indices_or_sections: Operand) -> list[Tensor]: ...
@overload
def vsplit(x: Operand, indices_or_sections: Operand) -> list[Any]:
    """Split along the first axis of an array of 2 or more dimensions."""

@overload
def vstack(arrays: Iterable[Tensor]) -> Tensor: ...
@overload
def vstack(arrays: Iterable[Operand]) -> Any:
    """Join along the first axis; vectors become rows."""

@overload
def where(condition: Tensor, a: Operand, b: Operand) -> Tensor: ...
@overload
def where(condition: Operand, a: Tensor, b: Operand) -> Tensor: ...
@overload
def where(condition: Operand, a: Operand, b: Tensor) -> Tensor: ...
@overload
def where(condition: Operand, a: Operand, b: Operand) -> Any:
    """Choose `a` where the condition is true, else `b`."""

@overload
def xlog1py(a: Tensor, b: Operand) -> Tensor: ...
@overload
def xlog1py(a: Operand, b: Tensor) -> Tensor: ...
@overload
def xlog1py(a: Operand, b: Operand) -> Any:
    """a log(1 + b), but 0 where a = 0, even at b = -1; exact for small `b`."""

@overload
def xlogy(a: Tensor, b: Operand) -> Tensor: ...
@overload
def xlogy(a: Operand, b: Tensor) -> Tensor: ...
@overload
def xlogy(a: Operand, b: Operand) -> Any:
    """a log(b), but 0 where a = 0, even at b = 0, as cross-entropy needs it."""
