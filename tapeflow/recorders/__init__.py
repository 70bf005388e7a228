"""What users open and hold: tapes, accumulators, variables. They check arguments and ask the core."""

from tapeflow.recorders.accumulator import ForwardAccumulator
from tapeflow.recorders.tape import GradientTape
from tapeflow.recorders.variable import Variable

__all__ = ["ForwardAccumulator", "GradientTape", "Variable"]
