"""Making a screen of a model: what the model says of tiles, learned by a small network."""

#: Batches of 64 tiles that a screen's network learns from. Of drawn slides 2,000 and 4,000 gave no
#: better screens.
STEPS = 1_000
