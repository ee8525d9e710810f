"""Convolution and pooling, declared as your own ops.

The framework has neither. These ops work like the built-in ones: on arrays and on
Tensors, for first and second derivatives, in `tg.compile`, and with `check_op`.

Images have the shape (channels, rows, columns, examples). With the examples as the last
axis, the ops copy and add long rows of memory, and NumPy is fastest with long rows.
"""

import numpy as np

import tinygrad_edu as tg

# --- Windows, and how their gradient goes back ----------------------------------------


@tg.op
def windows(x, *, size):
    """Every window of a size: v[c, a, b, p, q, n] = x[c, p + a, q + b, n].

    That is the pixel (a, b) of the window at (p, q). As a view, v takes no memory.
    """
    x = np.ascontiguousarray(x)  # in memory, too, the examples last
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
    return view.transpose(0, 4, 5, 1, 2, 3)


@tg.op
def overlap_add(v):
    """Put windows back to where they were, and add them up where they overlap.

    As a linear map, it is the transpose of `windows`.
    """
    v = np.asarray(v)
    c, a, b, p, q, n = v.shape
    x = np.zeros((c, p + a - 1, q + b - 1, n), v.dtype)
    for i, j in np.ndindex(a, b):
        x[:, i : i + p, j : j + q] += v[:, i, j]
    return x


windows.vjp(x=lambda g, y, x, size: overlap_add(g))
overlap_add.vjp(v=lambda g, y, v: windows(g, size=v.shape[1:3]))

# --- Convolution ----------------------------------------------------------------------


@tg.op(tex=r"{w} \star {x}", signature="(c,h,w,n),(o,c,a,b)->(o,p,q,n)")
def conv2d(x, w):
    """Sum w[o, c, a, b] * x[c, p + a, q + b, n] over c, a, b: to y[o, p, q, n].

    Each of the kernels w[o] slides over the images. In memory it is one large product
    of matrices.
    """
    return tg.tensordot(w, windows(x, size=w.shape[2:]), axes=3)


def to_images(g, y, x, w):
    """Sum w[o, c, a, b] * g[o, p, q, n] over o, and add up what meets in a pixel."""
    return overlap_add(tg.tensordot(w, g, axes=(0, 0)))


def to_kernels(g, y, x, w):
    """Sum x[c, p + a, q + b, n] * g[o, p, q, n] over p, q, n."""
    v = windows(x, size=w.shape[2:])
    return tg.moveaxis(tg.tensordot(v, g, axes=((3, 4, 5), (1, 2, 3))), -1, 0)


conv2d.vjp(x=to_images, w=to_kernels)

# --- Pooling --------------------------------------------------------------------------


def squares(x, size):
    """Cut images into squares of pixels: (c, h, w, n) becomes (c, p, s, q, s, n)."""
    c, h, w, n = x.shape
    if h % size or w % size:
        raise ValueError(f"{h} by {w} pixels do not make squares of {size} by {size}")
    return x.reshape(c, h // size, size, w // size, size, n)


def lead(x, size):
    """Return how much larger the largest pixel of each square is than the next."""
    pixels = squares(x, size).transpose(0, 1, 3, 5, 2, 4)
    return np.diff(np.sort(pixels.reshape(*pixels.shape[:4], -1)))[..., -1:]


@tg.op(kink=lead, subgradient="shared evenly among ties", selects=True)
def max_pool(x, *, size=2):
    """The largest pixel of each square."""
    return squares(x, size).max(axis=(2, 4))


def to_largest(g, y, x, size):
    """Give the largest pixel of each square its g."""
    largest = squares(x, size) == squares(y, 1)
    shares = squares(g, 1) / largest.sum(axis=(2, 4), keepdims=True, dtype=g.dtype)
    return (largest * shares).reshape(x.shape)


max_pool.vjp(x=to_largest)

# --- Are they right? ------------------------------------------------------------------


def check(examples=50):
    """Check the ops on random inputs; an AssertionError says what is wrong."""
    # Imported here because only this function needs Hypothesis.
    from tinygrad_edu.testing import check_op  # isort: skip
    from hypothesis import strategies as st

    def shapes(count, make):
        """Make the shapes of the inputs from small random integers."""
        return st.builds(make, *[st.integers(1, 2)] * count)

    def sizes(shape, params):
        """Draw a window size that fits on the images."""
        return st.tuples(st.integers(1, shape[1]), st.integers(1, shape[2]))

    check_op(
        windows,
        examples=examples,
        shapes=shapes(4, lambda c, h, w, n: [(c, 2 * h, 2 * w, n)]),
        size=sizes,
    )
    check_op(overlap_add, examples=examples, shapes=shapes(6, lambda *v: [v]))
    check_op(
        conv2d,
        examples=examples,
        shapes=shapes(
            7, lambda c, o, a, b, p, q, n: [(c, p + a - 1, q + b - 1, n), (o, c, a, b)]
        ),
    )
    check_op(
        max_pool,
        examples=examples,
        shapes=shapes(4, lambda c, p, q, n: [(c, 2 * p, 2 * q, n)]),
        size=st.sampled_from([1, 2]),
    )
