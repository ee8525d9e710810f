"""Formulas: the recorded graph read as equations, and written as mathematics.

Read `algebra` first: what a formula is, and how it is put in order. `naming` says what
quantities are called; `writing` writes formulas as text and LaTeX, with `brackets` and
`symbols`; `shares` takes the walk back apart, one share of a gradient at a time.
"""
