"""Task 1: the sigmoid and its derivative, for arrays."""


def sigmoid(z):
    """Return 1 / (1 + e^-z) for each element of `z`."""
    raise NotImplementedError("write sigmoid")


def sigmoid_prime(z):
    """Return the derivative of the sigmoid at each element of `z`."""
    raise NotImplementedError("write sigmoid_prime")
