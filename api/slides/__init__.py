"""``/v1/slides``: slides, their pictures and tiles."""
