"""Bridges to SciPy's optimizers, PyTorch, JAX and autograd: a module for each, which imports its toolkit late."""
