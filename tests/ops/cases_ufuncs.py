"""More rows of the table in cases.py: reduce, accumulate and reduceat of ufuncs. Importing this file adds them."""

import numpy as np
from cases import case, cplx, fixed, real

MASK = np.array([[True, False], [False, True], [True, True]])
# Along the first axis and by twos: elsewhere NumPy's power and arctan2 may be wrong (see test_ufunc_methods.py).
SMOOTH = (np.subtract, np.divide, np.power, np.hypot, np.arctan2, np.logaddexp, np.logaddexp2)

for _f in (*SMOOTH, np.float_power):
    skip = {"dtype": "float_power works in double precision"} if _f is np.float_power else None
    case(_f, lambda x, f=_f: f.reduce(x), real(3, 2, low=0.5), note="reduce", skip=skip)
    case(_f, lambda x, f=_f: f.accumulate(x), real(3, 2, low=0.5), note="accumulate", skip=skip)
    case(_f, lambda x, f=_f: f.reduceat(x, [0, 2, 1, 3]), real(4, 2, low=0.5), note="reduceat", skip=skip)
    case(_f, lambda x, y, f=_f: f.outer(x, y), real(2, low=0.5), real(3, low=0.5), note="outer", skip=skip)
for _f in SMOOTH:
    case(
        _f,
        lambda x, f=_f: f.reduce(x, keepdims=True, initial=1.5, where=MASK),
        real(3, 2, low=0.5),
        note="reduce-where",
    )
for _f in (np.subtract, np.divide):
    case(_f, lambda x, f=_f: f.reduce(x), cplx(3, 2, low=0.5), note="reduce-complex")
    case(_f, lambda x, f=_f: f.accumulate(x, axis=1), cplx(2, 3, low=0.5), note="accumulate-complex")
for _f in (np.hypot, np.logaddexp, np.logaddexp2):
    case(_f, lambda x, f=_f: f.reduce(x, axis=(0, 2)), real(2, 2, 3, low=0.5), note="reduce-axes")
for _f in (np.fmax, np.fmin):
    case(_f, lambda x, f=_f: f.reduce(x, axis=1), fixed([[1.0, np.nan, 0.5], [0.2, 0.9, -1.0]]), note="reduce")
    case(_f, lambda x, f=_f: f.reduce(x, axis=None), fixed([[1.0, 2.0], [0.2, 0.9]]), note="reduce-axes")
for _f in (np.fmax, np.fmin, np.maximum, np.minimum):
    case(_f, lambda x, f=_f: f.accumulate(x), fixed([1.0, 0.4, 2.0, 0.9]), note="accumulate")
    case(_f, lambda x, f=_f: f.reduceat(x, [0, 2, 1]), fixed([1.0, 0.4, 2.0, 0.9]), note="reduceat")
for _f in (np.add, np.multiply):
    case(_f, lambda x, f=_f: f.reduceat(x, [0, 3, 1], axis=1), real(2, 4, low=0.5), note="reduceat")
for _f in (np.remainder, np.fmod):
    case(_f, lambda x, f=_f: f.reduce(x), fixed([17.3, 7.1, 2.2]), note="reduce")
    case(_f, lambda x, f=_f: f.accumulate(x), fixed([17.3, 7.1, 2.2]), note="accumulate")
