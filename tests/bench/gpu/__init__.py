"""What micro-runs take on a GPU, compared with Ray Tune and with what the device could do: `make bench-gpu`."""
