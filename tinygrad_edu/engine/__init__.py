"""The engine: values that remember how they were computed, and the walk back.

Begin with `simple`: the whole idea on one page. Then read in this order: `graph`
(nodes, and how an op's answer becomes one), `op` (what an op declares), a chapter of
`tinygrad_edu.ops`, `autodiff` (the walk back), `tensor` and `protocols` (operators and
NumPy's functions), `transforms` (`grad` and its kin). `modes`, `debug`, `errors` and
`recompute` can wait.
"""
