"""The report: one self-contained page with every figure, curve and picture of an evaluation."""
