"""Attention models: from the features of a slide's tiles to what the whole slide is.

``bag`` holds the features of one slide; ``design`` says which network there is; ``networks`` are
the networks to be trained, in torch; ``forward`` is what they compute, in numpy, so that a worker
that has no torch answers too; ``head_file`` keeps the trained ones; ``answer`` asks all of them.
Importing this package does not import torch.
"""
