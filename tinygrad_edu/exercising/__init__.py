"""Exercises that check themselves, from a derivative to a compiled step.

Read `exercise` first: what is declared of each, and what it answers. `judging` makes
the judges; they use the catalogue of slips of `tinygrad_edu.checking`. `progress` keeps
what was done. The exercises themselves: `derivatives`, `networks`, `programs`, in the
order of the lessons; `numbers` draws their numbers. `exercises` lists them.
"""

from tinygrad_edu.exercising.exercise import Exercise, Verdict
from tinygrad_edu.exercising.listing import Exercises, exercises
from tinygrad_edu.exercising.progress import Progress

__all__ = ["Exercise", "Exercises", "Progress", "Verdict", "exercises"]
