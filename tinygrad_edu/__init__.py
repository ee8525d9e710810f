from tinygrad_edu.tensor import Tensor
from tinygrad_edu.graph import no_grad
from tinygrad_edu.op import OPS, op
from tinygrad_edu.ops import *
from tinygrad_edu import nn, optim, losses, data
