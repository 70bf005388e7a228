"""The namespace of the array API standard, which all traced values name as theirs.

https://data-apis.org/array-api/2024.12/API_specification/array_object.html
"""

from __future__ import annotations

from typing import Any

from tapeflow.core.tracer import Tracer
from tapeflow.numpy import array_api, uniform

__all__ = ["array_namespace"]

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


def array_namespace(self: Tracer, *, api_version: str | None = None) -> Any:
    """Return the namespace of the array API standard that keeps track of derivatives."""
    if api_version not in (None, *VERSIONS):
        raise ValueError(f"version {api_version!r} of the array API is not supported; there are {', '.join(VERSIONS)}")
    return array_api


Tracer.__array_namespace__ = array_namespace
if uniform.UNIFORM:
    uniform.install()
