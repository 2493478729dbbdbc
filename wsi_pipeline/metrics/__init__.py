"""Figures of merit from labels and scores: ranking, confusion, calibration, their intervals."""
