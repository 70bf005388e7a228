"""What every test must leave behind: no active recorder, and no array held read-only for ever."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tapeflow.core import stack

settings.register_profile("default", max_examples=40, deadline=None)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def no_recorder_is_left() -> Iterator[None]:
    yield
    left = stack.active()
    for recorder in left:
        stack.leave(recorder, None)
    gc.collect(0)
    assert not left
