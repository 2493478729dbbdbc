"""Making a screen of a model: what the model says of tiles, learned by a small network."""
