"""The engine: Tensors that store how they were computed, and the backward pass.

Start with `simple`: the whole idea on one page. Then read in this order: `graph`
(nodes, and how an op makes one), `op` (what an op declares), one chapter of
`tinygrad_edu.ops`, `autodiff` (the backward pass), `tensor`, `array_like` and
`protocols` (operators and NumPy's functions), `transforms` (`grad`, `jacobian` and
others), `batching` (`vmap`). Read `modes`, `debug`, `errors` and `recompute` last.
"""
