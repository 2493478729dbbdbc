"""Training: from slides with outlined tumour, or single images, to a model package.

``recipe`` says how; ``check`` looks at everything before anything is computed; ``survey`` and
``pool`` find the patches and their labels; ``draw``, ``loader`` and ``augment`` make batches of
them; ``loop`` and ``probe`` train; ``decision`` calibrates and chooses the threshold; ``packing``
writes the package. Single images are looked at in ``images`` and dealt out in ``image_split``;
``head_fit`` fits other heads than a linear layer. Importing this package does not import torch.
"""
