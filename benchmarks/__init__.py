"""Measurements: of speed against the plain loop, of memory against slide size, of a GPU."""
