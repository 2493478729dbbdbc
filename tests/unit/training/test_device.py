"""Arithmetic that repeats its bits, and what it leaves behind."""

from typing import Any

import numpy as np
import torch

from wsi_pipeline.training.device import on_device, repeatable, room_on

FILLING: Any = torch.utils.deterministic


def settings() -> tuple[object, ...]:
    return (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        FILLING.fill_uninitialized_memory,
        torch.backends.cudnn.benchmark,
    )


def test_settings_are_as_they_were_afterwards() -> None:
    before = settings()
    with repeatable(1):
        assert settings() == (1, True, False, False)
    assert settings() == before


def test_room_for_a_batch_can_be_written() -> None:
    room = room_on(torch.device("cpu"))((2, 3, 3, 3))
    room[:] = 7
    assert room.dtype == np.uint8
    assert room.sum() == 7 * 54


def test_on_the_cpu_nothing_is_copied() -> None:
    values = torch.arange(5)
    assert on_device(values, torch.device("cpu")) is values
