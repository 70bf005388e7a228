from tapeflow.ops import elementwise
