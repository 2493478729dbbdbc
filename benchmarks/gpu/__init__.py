"""What a CUDA GPU does: one script of at most eight minutes, ``python -m benchmarks.gpu``."""
