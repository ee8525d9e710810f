"""Is the gradient right? `gradcheck`, `compare`, and `check_op` for ops of your own.

Read `differences` and `probe` first: they compute a derivative in two ways. `gradient`
contains `gradcheck`, and `diagnosis` finds the faulty op. `comparing` contains
`compare`, and `slips` recognises typical wrong gradients. `properties` contains
`check_op`, and `strategies` generates its calls.
"""
