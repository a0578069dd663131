"""Pure operators: (state, input, params) -> (state, outputs). No clock, no I/O, no metrics."""
