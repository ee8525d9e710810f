"""Is the gradient right? `gradcheck`, `compare`, and `check_op` for ops of your own.

Read `differences` and `probe` first: they compute a derivative in two ways. `gradient`
contains `gradcheck`, and `diagnosis` finds the faulty op. `comparing` contains
`compare`: `catalogue` lists the slips, `searching` finds those that explain a gradient,
in a `case` that `replay` runs with them. `properties` contains `check_op`, and
`strategies` generates its calls.
"""
