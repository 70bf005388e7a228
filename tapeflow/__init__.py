from tapeflow.core.tape import GradientTape
from tapeflow.core.forward import ForwardAccumulator
from tapeflow.core.variable import Variable
from tapeflow import ops
