"""More rows of the table in cases.py: Fourier transforms. Importing this file adds them."""

import numpy as np
from cases import case, cplx, real

NORMS = (None, "backward", "ortho", "forward")
# Lengths to transform at: the axis' own, odd and even, cropped and padded.
LENGTHS = (None, 1, 2, 3, 4, 5, 6, 7)

for _f in (np.fft.fft, np.fft.ifft):
    for _make, _kind in ((real, "real"), (cplx, "complex")):
        for _n in LENGTHS:
            case(_f, lambda x, f=_f, n=_n: f(x, n), _make(5), note=f"{_kind}-{_n}")
        for _norm in NORMS:
            case(_f, lambda x, f=_f, m=_norm: f(x, axis=1, norm=m), _make(2, 4, 3), note=f"{_kind}-{_norm}")
        case(_f, lambda x, f=_f: f(x, 6, -2, "ortho"), _make(2, 4, 3), note=f"{_kind}-padded-axis")
for _f in (np.fft.rfft, np.fft.ihfft):
    for _n in LENGTHS:
        case(_f, lambda x, f=_f, n=_n: f(x, n), real(5), note=f"{_n}")
    case(_f, None, real(6), note="even")
    for _norm in NORMS:
        case(_f, lambda x, f=_f, m=_norm: f(x, axis=1, norm=m), real(2, 4, 3), note=f"even-{_norm}")
        case(_f, lambda x, f=_f, m=_norm: f(x, axis=-2, norm=m), real(2, 3, 2), note=f"odd-{_norm}")
for _f in (np.fft.irfft, np.fft.hfft):
    for _make, _kind in ((real, "real"), (cplx, "complex")):
        for _n in LENGTHS:
            case(_f, lambda x, f=_f, n=_n: f(x, n), _make(4), note=f"{_kind}-{_n}")
        for _norm in NORMS:
            case(_f, lambda x, f=_f, m=_norm: f(x, axis=1, norm=m), _make(2, 3, 2), note=f"{_kind}-even-{_norm}")
            case(_f, lambda x, f=_f, m=_norm: f(x, 5, -2, m), _make(2, 3, 2), note=f"{_kind}-odd-{_norm}")
for _f in (np.fft.fft2, np.fft.ifft2, np.fft.fftn, np.fft.ifftn, np.fft.irfft2, np.fft.irfftn):
    for _make, _kind in ((real, "real"), (cplx, "complex")):
        case(_f, None, _make(2, 3, 4), note=_kind)
        case(_f, lambda x, f=_f: f(x, axes=(0, 1)), _make(3, 4, 2), note=f"{_kind}-axes")
        case(_f, lambda x, f=_f: f(x, axes=[-1, 0], norm="ortho"), _make(3, 1, 3), note=f"{_kind}-reversed-axes")
        case(_f, lambda x, f=_f: f(x, (2, 5), (0, -1), norm="forward"), _make(3, 2, 3), note=f"{_kind}-lengths")
        case(_f, lambda x, f=_f: f(x, [4, -1], axes=(1, 2)), _make(2, 3, 3), note=f"{_kind}-whole-axis")
        case(_f, lambda x, f=_f: f(x, axes=(1,)), _make(2, 4), note=f"{_kind}-one-axis")
for _f in (np.fft.rfft2, np.fft.rfftn):
    case(_f, None, real(2, 3, 4))
    case(_f, lambda x, f=_f: f(x, axes=(0, 1)), real(3, 5, 2), note="axes")
    case(_f, lambda x, f=_f: f(x, axes=[-1, 0], norm="ortho"), real(3, 1, 3), note="reversed-axes")
    case(_f, lambda x, f=_f: f(x, (2, 5), (0, -1), norm="forward"), real(3, 2, 3), note="lengths")
    case(_f, lambda x, f=_f: f(x, [4, -1], axes=(1, 2)), real(2, 3, 3), note="whole-axis")
    case(_f, lambda x, f=_f: f(x, axes=(1,)), real(2, 4), note="one-axis")
for _f in (np.fft.fftn, np.fft.ifftn):
    case(_f, lambda x, f=_f: f(x, axes=(0, 1, 0)), cplx(3, 2), note="axis-twice")
case(np.fft.fftn, lambda x: np.fft.fftn(x, axes=()), real(2, 3), note="no-axis")
for _f in (np.fft.fftshift, np.fft.ifftshift):
    case(_f, None, real(3, 4))
    case(_f, None, cplx(5), note="complex")
    case(_f, lambda x, f=_f: f(x, axes=-1), real(2, 5), note="axis")
    case(_f, lambda x, f=_f: f(x, axes=(0, 2)), real(3, 2, 5), note="axes")
    case(_f, lambda x, f=_f: f(x, [1]), real(3, 4), note="list")

# ---- programs

case(np.fft.rfft, lambda x: np.abs(np.fft.rfft(x * np.hanning(8))) ** 2, real(8), note="power-spectrum")
case(
    np.fft.irfft,
    lambda x, k: np.fft.irfft(np.fft.rfft(x, 9) * np.fft.rfft(k, 9), 9),
    real(6),
    real(4),
    note="fast-convolution",
)
case(np.fft.hfft, lambda x: np.fft.hfft(np.fft.ihfft(x) ** 2, 5), real(5), note="round-trip")
case(np.fft.ifft, lambda x: np.fft.ifft(1j * np.fft.fftfreq(6) * np.fft.fft(x)).real, real(6), note="spectral-slope")
