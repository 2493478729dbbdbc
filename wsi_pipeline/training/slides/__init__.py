"""Training from what is known of whole slides: their label, or how long a patient lived.

``table`` reads the labels and finds the features; ``folds`` deals the groups out; ``member`` trains
one network, ``cross_validation`` all of them; ``calibrated`` and ``figures`` say what they are
worth on slides that they never saw; ``package`` makes a package of them, ``page`` the report.
Importing this package does not import torch.
"""
