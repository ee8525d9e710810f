"""Task 2: two neurons in a chain.

z1 = x w1, h1 = sigmoid(z1), z2 = h1 w2, h2 = sigmoid(z2), loss = (y - h2)^2 / 2
"""


def loss(x, y, w1, w2):
    """Return the loss."""
    raise NotImplementedError("write loss")


def gradients(x, y, w1, w2):
    """Return the derivatives of the loss with respect to w1 and w2, as a list."""
    raise NotImplementedError("write gradients")
