"""Which parts of an image a model's answer rests on, as a map over the image."""
