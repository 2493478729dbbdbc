"""(4) Models: packages, the network, and runtimes that turn patches into probabilities.

Importing this package does not import torch: only building, converting and the torch runtime do.
"""

from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.predictor import Predictor, RuntimeInfo

__all__ = ["ModelPackage", "Predictor", "RuntimeInfo", "load_package"]
