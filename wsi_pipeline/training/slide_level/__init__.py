"""Fitting the answer for whole slides to results of slides whose class is known."""
