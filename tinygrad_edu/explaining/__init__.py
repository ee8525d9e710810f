"""Explanations: `explain` derives a gradient on paper, `step_through` makes a page.

Read `derivation`, then `explanation`, which prints it. `stepper` makes the page:
`walking` gives the order of the steps, `narration` their text, `packing` encodes their
numbers, and `shown` lets a notebook show the page.
"""
