"""More rows of the table in cases.py: eigenvalues, least squares, and all forms of the decompositions."""

import warnings
from typing import Any

import numpy as np
from cases import case, cplx, fixed, real, spd

DOUBLE = {"dtype": "a list is in double precision"}
GRAMMIAN = {"dtype": "single precision loses the rank"}


def _mH(a: Any) -> Any:
    return np.conjugate(np.swapaxes(a, -1, -2))


def _function(f: Any, factors: Any) -> Any:
    """f of a matrix by its eigenvalues."""
    w, v = factors
    return v * f(w)[..., None, :] @ np.linalg.inv(v)


def _cross(a: Any, b: Any, **axes: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of vectors with two components
        return np.cross(a, b, **axes)


REAL_PAIRS = fixed([[0.5, 2.0, 0.1], [-1.5, 0.3, 0.4], [0.2, -0.1, 1.7]])
REAL_VALUES = fixed([[2.0, 0.5, 0.1], [0.3, -1.0, 0.4], [0.2, -0.1, 0.7]])
COMPLEX = fixed(np.array([[2.0, 0.5, 0.1], [0.3, -1.0, 0.4], [0.2, -0.1, 0.7]]) + 1j * np.diag([0.5, 0.1, -0.4]) + 0.2j)
STACK = fixed([[[0.5, 2.0], [-1.5, 0.3]], [[2.0, 0.5], [0.3, -1.0]]])

# ---- general eigenvalues

for _label, _draw in (("real", REAL_VALUES), ("pairs", REAL_PAIRS), ("complex", COMPLEX), ("stack", STACK)):
    case(np.linalg.eigvals, None, _draw, note=_label)
    case(np.linalg.eig, lambda a: np.linalg.eig(a)[0], _draw, note=f"values-{_label}")
    case(np.linalg.eig, lambda a: np.linalg.eig(a).eigenvalues ** 2, _draw, note=f"squares-{_label}")
    case(np.linalg.eig, lambda a: np.abs(np.linalg.eig(a)[1]), _draw, note=f"sizes-{_label}")
    case(np.linalg.eig, lambda a: _function(np.exp, np.linalg.eig(a)), _draw, note=f"exponential-{_label}")
    case(
        np.linalg.eig,
        lambda a: (v := np.linalg.eig(a)[1])[..., :, None, :] * np.conjugate(v)[..., None, :, :],
        _draw,
        note=f"projectors-{_label}",
    )
case(np.linalg.eig, None, REAL_VALUES, note="both")
case(np.linalg.eigvals, None, fixed([[3.0]]), note="single")
case(np.linalg.eig, None, fixed([[3.0]]), note="single")
case(np.linalg.eig, None, fixed(np.zeros((0, 0))), note="empty")
case(np.linalg.eigvals, None, fixed(np.zeros((0, 0))), note="empty")
case(np.linalg.eig, None, fixed(np.zeros((0, 2, 2))), note="empty-stack")

# ---- Hermitian ones, empty and single

for _f in (np.linalg.eigh, np.linalg.eigvalsh, np.linalg.svd, np.linalg.svdvals, np.linalg.qr, np.linalg.cholesky):
    case(_f, None, fixed(np.zeros((0, 0))), note="empty")
    case(_f, None, fixed(np.zeros((0, 2, 2)) + np.eye(2)), note="empty-stack")
    case(_f, None, fixed([[3.0]]), note="single")
for _f in (np.linalg.inv, np.linalg.det, np.linalg.slogdet, np.linalg.pinv):
    case(_f, None, fixed(np.zeros((0, 0))), note="empty")
    case(_f, None, fixed([[3.0]]), note="single")
case(np.linalg.eigh, lambda a: np.linalg.eigh(a + a.T, UPLO="u"), real(3, 3), note="upper")
case(np.linalg.eigvalsh, lambda a: np.linalg.eigvalsh(a + a.T, UPLO="U"), real(3, 3), note="upper")
case(
    np.linalg.eigh,
    lambda a: (v := np.linalg.eigh(a + _mH(a))[1])[..., :, None, :] * np.conjugate(v)[..., None, :, :],
    cplx(3, 3),
    note="projectors-complex",
)

# ---- singular values

for _label, _shape in (("tall", (4, 2)), ("wide", (2, 4)), ("one-more", (3, 2)), ("stack", (2, 2, 3))):
    case(np.linalg.svd, lambda a: np.linalg.svd(a)[1], cplx(*_shape), note=f"full-values-{_label}")
    case(
        np.linalg.svd,
        lambda a: (
            (f := np.linalg.svd(a)).U[..., : f.S.shape[-1]] * np.sin(f.S)[..., None, :] @ f.Vh[..., : f.S.shape[-1], :]
        ),
        cplx(*_shape),
        note=f"full-function-{_label}",
    )
    case(
        np.linalg.svd,
        lambda a: (u := np.linalg.svd(a).U[..., 1:]) @ _mH(u),
        cplx(*_shape),
        note=f"full-left-{_label}",
    )
    case(
        np.linalg.svd,
        lambda a: _mH(v := np.linalg.svd(a).Vh[..., 2:, :]) @ v,
        cplx(*_shape),
        note=f"full-right-{_label}",
    )
    case(np.linalg.svd, lambda a: np.linalg.svd(a)[:2], real(*_shape[:-1], _shape[-2] - 1), note=f"full-real-{_label}")
    for _ord in ("nuc", 2, -2):
        case(np.linalg.norm, lambda a, o=_ord: np.linalg.norm(a, o, (-2, -1)), cplx(*_shape), note=f"{_ord}-{_label}")
case(np.linalg.svd, None, real(3, 2), note="full-one-more")
case(np.linalg.svd, None, real(2, 3), note="full-one-more-wide")
for _label, _draw in (("real", real), ("complex", cplx)):
    case(
        np.linalg.svd,
        lambda a: np.linalg.svd(a + _mH(a), hermitian=True)[1],
        _draw(2, 3, 3),
        note=f"hermitian-{_label}",
    )
    case(
        np.linalg.svd,
        lambda a: np.linalg.svd(a + _mH(a), hermitian=True, compute_uv=False),
        _draw(3, 3),
        note=f"hermitian-values-{_label}",
    )
    case(
        np.linalg.svd,
        lambda a: (f := np.linalg.svd(a + _mH(a), hermitian=True)).U * np.sin(f.S)[..., None, :] @ f.Vh,
        _draw(2, 3, 3),
        note=f"hermitian-function-{_label}",
    )
    case(
        np.linalg.pinv,
        lambda a: np.linalg.pinv(a + _mH(a), hermitian=True),
        _draw(2, 3, 3),
        note=f"hermitian-{_label}",
    )
case(np.linalg.svd, lambda a: np.linalg.svd(a + a.T, hermitian=True), real(3, 3), note="hermitian-vectors")
case(np.linalg.pinv, lambda a: np.linalg.pinv(a, rtol=1e-5), real(2, 3), note="rtol")
case(np.linalg.pinv, lambda a: np.linalg.pinv(a, rtol=None), real(2, 3), note="rtol-none")
case(np.linalg.pinv, lambda a: np.linalg.pinv(a, rcond=np.array([1e-5, 1e-7])), real(2, 3, 2), note="rcond-stack")

# ---- QR decomposition

for _label, _draw in (("real", real), ("complex", cplx)):
    for _note, _shape in (("wide", (2, 4)), ("wide-stack", (2, 2, 3)), ("row", (1, 3))):
        case(np.linalg.qr, None, _draw(*_shape), note=f"{_note}-{_label}")
        case(
            np.linalg.qr, lambda a: np.linalg.qr(a, mode="complete"), _draw(*_shape), note=f"complete-{_note}-{_label}"
        )
        case(np.linalg.qr, lambda a: np.linalg.qr(a, mode="r"), _draw(*_shape), note=f"triangle-{_note}-{_label}")
    case(
        np.linalg.qr,
        lambda a: ((f := np.linalg.qr(a, "complete")).Q[..., :2], f.R, f.Q[..., 2:] @ _mH(f.Q[..., 2:])),
        _draw(2, 4, 2),
        note=f"complete-tall-{_label}",
    )
case(np.linalg.qr, lambda a: np.linalg.qr(a, "complete"), real(3, 2), note="complete-one-more")

# ---- least squares

for _label, _draw in (("real", real), ("complex", cplx)):
    for _note, _shape in (("tall", (5, 3)), ("wide", (3, 5)), ("square", (3, 3))):
        case(np.linalg.lstsq, None, _draw(*_shape), _draw(_shape[0], 2), note=f"{_note}-{_label}")
        case(np.linalg.lstsq, None, _draw(*_shape), _draw(_shape[0]), note=f"vector-{_note}-{_label}")
    case(
        np.linalg.lstsq,
        lambda u, v, b: np.linalg.lstsq(u @ v, b, rcond=1e-4)[0],
        _draw(5, 2),
        _draw(2, 3),
        _draw(5, 2),
        note=f"deficient-{_label}",
    )
case(np.linalg.lstsq, None, real(5, 3), cplx(5), note="mixed")
case(
    np.linalg.lstsq, lambda b: np.linalg.lstsq([[1.0], [2.0], [0.5]], b)[:2], real(3), note="constant-left", skip=DOUBLE
)
case(np.linalg.lstsq, lambda a: np.linalg.lstsq(a, [1.0, 2.0, 0.5], rcond=-1), real(3, 2), note="constant", skip=DOUBLE)
case(np.linalg.lstsq, None, real(3, 2), real(3, 0), note="no-right-side")

# ---- condition numbers

for _p in (None, 2, -2):
    for _label, _draw in (("tall", real(4, 2)), ("stack", cplx(2, 2, 3))):
        case(np.linalg.cond, lambda a, p=_p: np.linalg.cond(a, p), _draw, note=f"{_p}-{_label}")
# NumPy 2.0 gives the condition of complex matrices as complex numbers.
_REAL_COND = np.linalg.cond(np.eye(2) + 0j, 1).dtype == np.float64
for _p in ("fro", "nuc", 1, -1, np.inf, -np.inf):
    for _label, _draw in (("real", spd(3, 3)), ("stack", cplx(2, 2, 2) if _REAL_COND else spd(2, 2, 2))):
        case(np.linalg.cond, lambda a, p=_p: np.linalg.cond(a, p), _draw, note=f"{_p}-{_label}")

# ---- products with named axes

for _note, _axes, _a, _b in (
    ("columns", [(0, 1), (0, 1), (0, 1)], (2, 3, 4), (3, 2, 4)),
    ("mixed", [(-2, -1), (0, 2), (-1, -2)], (2, 3), (3, 4, 2)),
):
    case(np.matmul, lambda a, b, k=_axes: np.matmul(a, b, axes=k), real(*_a), cplx(*_b), note=f"axes-{_note}")
case(np.matmul, lambda a, b: np.matmul(a, b, casting="same_kind", order="C"), real(2, 3), real(3, 2), note="keywords")
case(np.vecdot, lambda a, b: np.vecdot(a, b, axes=[0, 1, ()]), cplx(3, 2), cplx(2, 3), note="axes")
case(np.vecdot, lambda a, b: np.vecdot(a, b, axes=[0, 1]), real(3, 2), real(2, 3), note="axes-short")
case(np.vecdot, lambda a, b: np.vecdot(a, b, axis=0, keepdims=True), cplx(3, 2), cplx(3, 2), note="keepdims")
case(np.vecdot, lambda a, b: np.vecdot(a, b, keepdims=True), cplx(3, 2), cplx(3, 2), note="keepdims-last")
case(
    np.vecdot,
    lambda a, b: np.vecdot(a, b, dtype=np.complex128),
    real(3),
    real(3),
    note="dtype",
    skip={"dtype": "converts"},
)
if hasattr(np, "matvec"):  # since NumPy 2.2
    case(np.matvec, lambda a, b: np.matvec(a, b, axes=[(1, 0), 0, 0]), cplx(3, 2, 4), cplx(3, 4), note="axes")
    case(np.vecmat, lambda a, b: np.vecmat(a, b, axes=[0, (1, 0), 1]), cplx(3, 4), cplx(2, 3, 4), note="axes")
case(np.tensordot, lambda a, b: np.tensordot(a, b, axes=0), cplx(2, 3), cplx(2), note="outer-complex")
case(np.einsum, lambda a, b: np.einsum("ij,jk", a, b, optimize=False), real(2, 3), real(3, 2), note="optimize-off")
case(
    np.einsum, lambda a, b: np.einsum("ij,jk", a, b, order="C", casting="safe"), real(2, 3), real(3, 2), note="keywords"
)
case(np.kron, None, cplx(2, 1, 2), cplx(3, 2), note="high-complex")
case(np.linalg.cross, None, cplx(2, 3), cplx(3), note="complex")
case(np.linalg.tensorsolve, lambda a, b: np.linalg.tensorsolve(a, b, axes=(0, 2)), real(2, 6, 3), real(6), note="pairs")
case(np.linalg.tensorinv, None, cplx(2, 3, 6), note="complex")
case(np.linalg.matrix_power, lambda a: np.linalg.matrix_power(a, -3), cplx(2, 2), note="negative-complex")
case(np.linalg.matrix_power, lambda a: np.linalg.matrix_power(a, np.int64(2)), real(2, 2), note="numpy-integer")
for _note, _a, _b in (("two-two", (4, 2), (2,)), ("two-three", (2,), (4, 3)), ("three-two", (4, 3), (2,))):
    case(np.cross, _cross, real(*_a), cplx(*_b), note=_note)
case(np.cross, lambda a, b: _cross(a, b, axisa=0, axisb=1, axisc=0), real(2, 4), real(4, 3), note="two-three-axes")


def _has_norm(shape: tuple[int, ...], order: Any) -> bool:
    """Whether this NumPy gives empty matrices a norm, as newer ones do."""
    try:
        np.linalg.norm(np.zeros(shape), order, axis=(-2, -1))
    except ValueError:
        return False
    return True


for _ord in (1, 2, np.inf, "nuc", "fro"):
    for _shape in ((0, 3), (3, 0), (0, 2, 2)):
        if not _has_norm(_shape, _ord):
            continue
        case(
            np.linalg.norm,
            lambda a, o=_ord: np.linalg.norm(a, o, axis=(-2, -1)),
            real(*_shape),
            note=f"empty-{_ord}-{'x'.join(map(str, _shape))}",
        )
