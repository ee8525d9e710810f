"""Write a program as source: to be read, to be fast, or as loops for Numba.

`readable` writes it as a person would, with loops for what repeats (`repeating`).
`fast` calls NumPy in memory of its own. `loops` writes `nests` of loops over `elements`
for each group of equations (`grouping`).
"""
