"""Explanations: `explain` derives a gradient on paper, `step_through` makes a page.

Read `derivation`, then `explanation`, which prints it. `stepper` makes the page:
`walking` gives the order of the steps, `narration` their text, `operands` the arrays
that go into each, `slips` what a wrong answer comes from, and `packing` encodes the
numbers. `replaying` turns the graph into a program, and `program` writes it down for
the page. The folder `page` has the page itself; `shown` lets a notebook show it.
"""
