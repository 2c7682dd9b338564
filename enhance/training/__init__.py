"""The building blocks of training rules: seeds, batches, optimizers, metrics, and the guard against divergence."""
