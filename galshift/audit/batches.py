"""How many images a forward pass should take at once: enough to fill a device, no more than it holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Larger batches on a CPU are slower: every activation is then fresh memory (3 times, measured).
CPU_IMAGES, CPU_PATCHES = 64, 512
_LEAST, _MOST = 64, 16_384  # on a GPU; beyond, a launch costs nothing compared with what it does
_SHARE = 0.5  # of the free memory; libraries need workspace, and other processes may come
_COPIES = 2  # a layer's output, and what it makes of it on the way


def suited_batch(model: nn.Module, shape: tuple[int, int, int], device: torch.device) -> int:
    """Return how many images (C, H, W) a whole forward pass of `model` on `device` should take."""
    if device.type != "cuda":
        return CPU_IMAGES
    free, _ = torch.cuda.mem_get_info(device)
    # What this process holds but does not use is free as well.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return batch_for(free, bytes_per_image(model, shape))


def batch_for(free: int, each: int) -> int:
    """Return the power of two that fits `free` bytes at `each` bytes an image, within bounds."""
    fits = max(1, int(_SHARE * free) // max(1, each))
    return min(_MOST, max(_LEAST, 1 << (fits.bit_length() - 1)))


@torch.inference_mode()
def bytes_per_image(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """Return an upper estimate of the memory that one image needs on its way through `model` [byte].

    All layers' outputs together; a forward pass without gradients frees most of them on the way.
    """
    parameter = next(model.parameters())
    total = 0

    def count(module: nn.Module, inputs: tuple, output: object) -> None:
        nonlocal total
        tensors = output if isinstance(output, tuple) else (output,)
        total += sum(one.numel() * one.element_size() for one in tensors if isinstance(one, Tensor))

    leaves = [module for module in model.modules() if next(module.children(), None) is None]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    try:
        image = torch.zeros(1, *shape, device=parameter.device)
        model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return _COPIES * (total + image.numel() * image.element_size())
