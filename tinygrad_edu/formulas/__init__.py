"""Formulas: read the recorded graph as equations, and write them as mathematics.

Read `algebra` first: it defines formulas and simplifies them. `naming` names the
quantities. `writing` writes formulas as text and LaTeX, with `brackets` and `symbols`.
`shares` splits the backward pass into the shares that each use of a quantity adds.
`repeats` finds loops.
"""
