"""The main job: derivatives at work on real data, every result checked. Needs the extra ``tapeflow[demo]``."""

from tapeflow.demo.runner import run

__all__ = ["run"]
