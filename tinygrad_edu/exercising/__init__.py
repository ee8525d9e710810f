"""Exercises that check themselves, from a derivative to a compiled step.

The files ``derivatives.toml``, ``networks.toml`` and ``programs.toml`` have the
exercises, in the order of the lessons. Read `exercise` first: what is declared of each,
and what it answers. `numbers` draws its numbers. `judging` judges the answers, with the
catalogue of slips of `tinygrad_edu.checking`. `progress` keeps what was done, and
`exercises`, in `listing`, lists them all.
"""

from tinygrad_edu.exercising.exercise import Exercise, Verdict
from tinygrad_edu.exercising.listing import Exercises, exercises
from tinygrad_edu.exercising.progress import Progress

__all__ = ["Exercise", "Exercises", "Progress", "Verdict", "exercises"]
