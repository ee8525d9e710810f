"""Explanations: `explain` derives a gradient on paper, `step_through` makes a page.

Read `derivation` and then `explanation`, which prints it. `stepper` makes the page,
from the order of the steps (`walking`), their words (`narration`) and their numbers
(`packing`).
"""
