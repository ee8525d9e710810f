"""Explanations: `explain` derives a gradient on paper, `step_through` makes a page.

Read `derivation`, then `explanation`, which prints it. `stepper` makes the page:
`walking` gives each contribution to a gradient, `narration` the text of each step,
`operands` its arrays, `slips` the results of usual mistakes, and `packing` encodes the
numbers. `replaying` turns the graph into a program, and `program` writes it down for
the page. The folder `page` has the page itself; `shown` lets a notebook show it.
"""
