"""Training in several processes, by MPI; see `train.parallel`."""

from tinygrad_edu.train.parallel import DataParallel, world

__all__ = ["DataParallel", "world"]
