"""Tasks 5 and 6: an engine of your own, and what it trains.

A `Tensor` remembers how it was computed, and `backward` walks back. How is up to you,
as long as the names below do what they say.
"""


class Tensor:
    """A value, and how it was computed.

    Attributes: `data`, an array; `grad`, an array of the same shape, zeros at first.
    """

    def __init__(self, data):
        raise NotImplementedError("write Tensor")

    def backward(self):
        """Add the gradient of this number to the `grad` of every Tensor it came from.

        At least to those that were not computed, the leaves.
        """
        raise NotImplementedError("write backward")


def add(a, b):
    """Return a + b; the shapes may broadcast."""
    raise NotImplementedError("write add")


def subtract(a, b):
    """Return a - b; the shapes may broadcast."""
    raise NotImplementedError("write subtract")


def multiply(a, b):
    """Return a * b, element by element; the shapes may broadcast."""
    raise NotImplementedError("write multiply")


def dot(a, b):
    """Return the product of two matrices."""
    raise NotImplementedError("write dot")


def sigmoid(x):
    """Return the sigmoid of each element."""
    raise NotImplementedError("write sigmoid")


def total(x):
    """Return the sum of all elements."""
    raise NotImplementedError("write total")


def train():
    """Task 6: train exclusive or with this engine, and return the output.

    The output is a Tensor of shape (4, 1), for the inputs 00, 01, 10, 11. It may come
    with other things behind it, in a tuple.
    """
    raise NotImplementedError("write train")
