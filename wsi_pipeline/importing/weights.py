"""Files of weights: safetensors, or what ``torch.save`` wrote, of which only tensors are read."""

from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from wsi_pipeline.importing.source import ImportRefusedError, check_trust

#: What training wrappers put before every name.
_PREFIXES = ("module.", "model.", "backbone.")
#: Under what training programs store the weights among other things.
_KEYS = ("state_dict", "model", "model_state_dict")
_PICKLE = (
    "a pickle, a format that can run code when it is loaded (here only tensors are read of it, and "
    "no code is run)"
)


def read_weights(path: Path, *, trust: bool) -> dict[str, torch.Tensor]:
    """Named tensors, all finite, without the prefixes of training wrappers.

    Args:
        path: The file.
        trust: Whether a pickle may be read.

    Raises:
        ImportRefusedError: it holds more than tensors or is damaged, or is a pickle not trusted.
    """
    with path.open("rb") as file:
        of_torch = file.read(2)[:1] in (b"P", b"\x80")
    if of_torch:
        check_trust(path, _PICKLE, trust=trust)
    loaded: Any
    try:
        if not of_torch:
            loaded = safetensors.torch.load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch meets what is no state dict with many kinds of error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ImportRefusedError(
            path,
            "holds more than tensors, or is damaged; nothing of it was run. Save its state_dict() "
            f"as safetensors instead ({reason})",
        ) from error
    for key in _KEYS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(torch.is_tensor(one) for one in loaded.values()):
        raise ImportRefusedError(path, "is no state dict of tensors; save the model's state_dict()")
    tensors: dict[str, torch.Tensor] = loaded
    for prefix in _PREFIXES:
        if tensors and all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): one for key, one in tensors.items()}
    strange = [key for key, one in tensors.items() if not bool(torch.isfinite(one).all())]
    if strange:
        raise ImportRefusedError(path, f"holds numbers that are not finite, in {strange[0]}")
    return tensors
