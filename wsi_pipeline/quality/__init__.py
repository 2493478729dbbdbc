"""Quality control: which tiles of tissue cannot be judged, and why.

::

    coarse level (4-8 µm/px) ──► pen, folds, bubbles, gaps ──┐
                                                             ├──► reasons per tile ──► flag, reject
    fine level (about 1 µm/px, planned tiles only) ──► focus ┘
"""
