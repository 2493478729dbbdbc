"""Evaluation: how good results are, in the terms of the CAMELYON challenges, with intervals."""
