"""The screen: a small network on a coarse level that says which tiles are surely negative."""
