"""Look at derivatives: evaluation traces as tables."""

from tapeflow.viz.expression import ExpressionError, read_values
from tapeflow.viz.render import FORMATS, MODES, render, to_dict
from tapeflow.viz.trace import Contribution, Trace, trace

__all__ = ["FORMATS", "MODES", "Contribution", "ExpressionError", "Trace", "read_values", "render", "to_dict", "trace"]
