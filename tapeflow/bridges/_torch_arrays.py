"""Tensors and arrays: copies of one as the other, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeflow.errors import NotDifferentiableError

__all__ = ["array_of", "import_torch", "tensor_of"]


def import_torch() -> Any:
    """PyTorch, or an error that says how to get it."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("tapeflow.bridges.torch needs PyTorch; install it with: pip install torch") from error
    return torch


def tensor_of(x: Any) -> Any:
    """A tensor on the CPU with a copy of an array.

    Raises
    ------
    NotDifferentiableError
        If PyTorch has no such dtype.
    """
    torch = import_torch()
    x = np.asarray(x)
    try:
        return torch.from_numpy(np.array(x, dtype=x.dtype.newbyteorder("="), order="C"))
    except TypeError:
        raise NotDifferentiableError(
            f"tapeflow.bridges.torch: PyTorch has no dtype {x.dtype}; convert the array first, for example by "
            "x.astype(np.float64)"
        ) from None


def array_of(t: Any, *, copy: bool = True) -> np.ndarray:
    """An array with the numbers of a tensor, without its derivative.

    Raises
    ------
    NotDifferentiableError
        If the tensor is not on the CPU, not dense, or of a dtype that NumPy has not.
    """
    torch = import_torch()
    if t.device.type != "cpu":
        raise NotDifferentiableError(
            f"tapeflow.bridges.torch: a tensor is on the device {t.device}, and NumPy works on the CPU; move it by "
            "x.cpu() before the call, and the result back by y.to(device): both are differentiated by PyTorch"
        )
    if t.layout != torch.strided:
        raise NotDifferentiableError(f"tapeflow.bridges.torch: a tensor has the layout {t.layout}; use x.to_dense()")
    try:
        found = t.detach().resolve_conj().resolve_neg().numpy()
    except TypeError:
        raise NotDifferentiableError(
            f"tapeflow.bridges.torch: NumPy has no dtype {t.dtype}; convert the tensor first, for example by x.float()"
        ) from None
    return np.array(found) if copy else found
