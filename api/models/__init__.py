"""``/v1/models``: the model packages a job can name."""
