"""The device, its arithmetic held to one order, and the processes that share the work."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from wsi_pipeline.errors import UsageError


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that train one model together; one unless torchrun started more.

    Attributes:
        rank: Which this one is.
        size: How many there are.
        local_rank: Which of its host's.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()

    def gather(self, value: Any) -> list[Any]:
        """What every process has, by rank, to every process."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """The team this process belongs to, for as long as the block lasts.

    Under torchrun that is every process it started: over NCCL on GPUs, else over gloo.

    Args:
        device: As the user names it.
    """
    if not dist.is_available() or not dist.is_torchelastic_launched():
        yield Team()
        return
    on_gpus = device != "cpu" and torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield Team(dist.get_rank(), dist.get_world_size(), dist.get_node_local_rank())
        dist.barrier()
    finally:
        dist.destroy_process_group()


def choose_device(name: str, team: Team) -> torch.device:
    """The device that is meant; with ``auto`` or ``cuda`` each process of a host has its own GPU.

    Raises:
        UsageError: there is no such device.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    index = team.local_rank if name in ("auto", "cuda") else -1
    try:
        device = torch.device("cuda", index) if index >= 0 else torch.device(name)
        torch.cuda.get_device_name(device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UsageError(
            f"no device {name!r} here ({error}); choose auto, cpu or cuda:N"
        ) from error
    return device


def on_device(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device that is not waited for.

    From memory that is not pinned, a copy first waits for all that the GPU has to do.

    Args:
        values: On the CPU.
        device: Where to.
    """
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


def room_on(device: torch.device) -> Callable[[tuple[int, ...]], NDArray[np.uint8]]:
    """What gives a batch's memory, uint8: for a GPU pinned, so that it copies by itself.

    Torch gives pinned memory to the next batch only after the GPU has copied this one.
    """

    def room(shape: tuple[int, ...]) -> NDArray[np.uint8]:
        pinned = device.type == "cuda"
        given: NDArray[np.uint8] = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned).numpy()
        return given

    return room


@contextmanager
def repeatable(threads: int) -> Iterator[None]:
    """Arithmetic that gives the same bits every time on one device, while the block lasts.

    Args:
        threads: Of torch on the CPU; sums of floats depend on how work is split.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    filling: Any = torch.utils.deterministic  # whose attribute torch does not type
    filled = filling.fill_uninitialized_memory
    # cuBLAS reads it when it starts; torch refuses its products without it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # Nothing here reads memory before it is written, and on a GPU each filling is a kernel.
    filling.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.benchmark = benchmark
        filling.fill_uninitialized_memory = filled


class GlobalMaximum(nn.Module):
    """Global max pooling whose gradient on a GPU is the same every time.

    ``AdaptiveMaxPool2d`` adds up its gradient in no fixed order there. Forward both give the same
    bits; ties share the gradient here.
    """

    def forward(self, features: Tensor) -> Tensor:
        """``(n, channels, 1, 1)`` of ``(n, channels, height, width)``."""
        return features.amax(dim=(2, 3), keepdim=True)


class GlobalMean(nn.Module):
    """Global average pooling whose gradient on a GPU is the same every time."""

    def forward(self, features: Tensor) -> Tensor:
        """``(n, channels, 1, 1)`` of ``(n, channels, height, width)``."""
        return features.mean(dim=(2, 3), keepdim=True)
