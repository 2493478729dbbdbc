"""Recolours and moves patches on the device that trains, each by numbers drawn beforehand."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from wsi_pipeline.stain.density import RUIFROK
from wsi_pipeline.stain.perturbation import density_change
from wsi_pipeline.training.device import on_device
from wsi_pipeline.training.sampling import (
    BRIGHTNESS,
    CONTRAST,
    HUE,
    SATURATION,
    STAIN_SCALE,
    STAIN_SHIFT,
)


def recolour(pixels: Tensor, colours: Tensor, stains: NDArray[np.float64] = RUIFROK) -> Tensor:
    """Patches with stains and colours changed; nothing but a patch's own numbers decides its px.

    First the stains, in optical density (Tellez et al. 2018: ``c' = a c + b``), then brightness,
    saturation, hue and contrast in the order of Liu et al. 2017; clipped at the end.

    Args:
        pixels: ``(n, 3, side, side)`` float32, 0-255.
        colours: ``(n, 10)`` on the CPU, see :attr:`~wsi_pipeline.training.sampling.Epoch.colours`.
        stains: Directions of the stains whose amounts are changed, ``(3, 3)``, see
            :func:`~wsi_pipeline.stain.perturbation.three_stains`.

    Returns:
        As ``pixels``.
    """
    # Asked on the CPU: to ask a GPU would be to wait for it.
    stained = bool((colours[:, STAIN_SCALE] != 1).any() or (colours[:, STAIN_SHIFT] != 0).any())
    coloured = bool((colours[:, HUE] != 0).any() or (colours[:, SATURATION] != 1).any())
    colours = on_device(colours, pixels.device)
    if stained:
        pixels = _restain(pixels, colours[:, STAIN_SCALE], colours[:, STAIN_SHIFT], stains)
    value = pixels / 255
    value = value + colours[:, BRIGHTNESS].view(-1, 1, 1, 1)
    if coloured:
        value = _shifted_hsv(value.clamp(0, 1), colours[:, HUE], colours[:, SATURATION])
    mean = value.mean(dim=(2, 3), keepdim=True)
    value = (value - mean) * colours[:, CONTRAST].view(-1, 1, 1, 1) + mean
    return value.clamp(0, 1) * 255


def placed(pixels: Tensor, matrices: Tensor) -> Tensor:
    """Patches turned, enlarged and sheared about their middle; beyond the border they are mirrored.

    Args:
        pixels: ``(n, 3, side, side)`` float32, 0-255.
        matrices: ``(n, 2, 2)``, see :func:`~wsi_pipeline.training.geometry.drawn_placement`.

    Returns:
        As ``pixels``, interpolated bilinearly.
    """
    still = matrices.new_zeros((len(matrices), 2, 1))
    affine = on_device(torch.cat([matrices, still], dim=2), pixels.device)
    grid = functional.affine_grid(affine, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def _restain(
    pixels: Tensor, scale: Tensor, shift: Tensor, directions: NDArray[np.float64]
) -> Tensor:
    """Amounts of three stains scaled and shifted, ``(n, 3)`` each."""
    stains, unmix = (
        on_device(torch.tensor(matrix, dtype=torch.float32), pixels.device)
        for matrix in (directions, np.linalg.inv(directions))
    )
    matrix, moved = density_change(scale, shift, stains, unmix)
    density = -torch.log10((pixels + 1) / 256)
    n, _, height, width = pixels.shape
    mixed = matrix.transpose(1, 2) @ density.reshape(n, 3, height * width) + moved[:, :, None]
    restained = 256 * torch.pow(10, -mixed) - 1
    return restained.clamp(0, 255).reshape(n, 3, height, width)


def _shifted_hsv(value: Tensor, turn: Tensor, factor: Tensor) -> Tensor:
    """Hue turned and saturation scaled, of RGB 0-1."""
    red, green, blue = value.unbind(1)
    high, low = value.amax(1), value.amin(1)
    chroma = high - low
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    hue = torch.where(
        high == red,
        (green - blue) / safe,
        torch.where(high == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue / 6 + turn.view(-1, 1, 1)
    saturation = torch.where(high > 0, chroma / high.clamp(min=1e-12), chroma)
    saturation = (saturation * factor.view(-1, 1, 1)).clamp(0, 1)

    def channel(offset: float) -> Tensor:
        # f(n) = V - V S max(0, min(k, 4 - k, 1)), k = (n + H / 60°) mod 6
        place = torch.remainder(offset + 6 * hue, 6)
        ramp = torch.minimum(place, 4 - place).clamp(0, 1)
        return high - high * saturation * ramp

    return torch.stack([channel(5.0), channel(3.0), channel(1.0)], dim=1)
