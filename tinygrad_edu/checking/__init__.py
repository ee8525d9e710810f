"""Is the gradient right? `gradcheck`, `compare`, and `check_op` for ops of your own.

Read `differences` and `probe` first: a derivative, found twice. `gradient` is
`gradcheck`, and `diagnosis` finds whose fault it is; `comparing` is `compare`, and
`slips` knows what wrong gradients look like. `properties` is `check_op`, on calls that
`strategies` draw.
"""
