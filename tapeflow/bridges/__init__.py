"""Bridges to other toolkits: SciPy's optimizers, PyTorch, JAX; each a module of its own, which imports its toolkit late."""
