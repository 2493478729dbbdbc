"""Training: from slides with outlined tumour to a model package that ``wsi run`` uses unchanged.

``recipe`` says how; ``check`` looks at everything before anything is computed; ``survey`` and
``pool`` find the patches and their labels; ``draw``, ``loader`` and ``augment`` make batches of
them; ``loop`` and ``probe`` train; ``decision`` calibrates and chooses the threshold; ``packing``
writes the package. Importing this package does not import torch.
"""
