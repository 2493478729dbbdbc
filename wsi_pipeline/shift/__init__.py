"""How unlike the training data a slide or image is, and in what: colour, focus or texture."""
