"""What training rules are built from: seeds, batches, optimizers, metrics and the guard against divergence."""
