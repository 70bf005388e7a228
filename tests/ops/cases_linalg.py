"""More rows of the table in cases.py: contractions and linear algebra. Importing this file adds them."""

import numpy as np
from cases import case, cplx, fixed, real, spd

# ---- contractions

DOUBLE = {"dtype": "a list is in double precision"}
CONVERTS = {"dtype": "converts"}


def _conjugate_transpose(a):
    return np.conjugate(np.swapaxes(a, -1, -2))


for _label, _a, _b in (
    ("matrix-stack", (2, 3), (4, 3, 2)),
    ("vector-stacks", (2,), (4, 5, 2, 3)),
    ("stacks-vector", (4, 5, 2, 3), (3,)),
    ("stacks-matrix", (4, 2, 3, 2), (2, 3)),
    ("matrix-stacks", (3, 2), (4, 2, 2, 3)),
    ("stack-of-one", (1, 2, 3), (4, 3, 2)),
    ("empty-sum", (2, 0), (0, 3)),
    ("empty-stack", (0, 2, 3), (3, 2)),
    ("single", (1, 1), (1, 1)),
):
    case(np.matmul, None, real(*_a), real(*_b), note=_label)
case(np.matmul, lambda a, b: a @ b, real(2, 3), cplx(3, 2), note="mixed")
case(np.matmul, lambda a: a @ a.T, real(2, 3), note="gram")
case(np.matmul, lambda a: np.matmul(a, np.ones((3, 2)), dtype=np.complex128), real(2, 3), note="dtype", skip=CONVERTS)
case(np.matmul, lambda a: [[1.0, 2.0]] @ a, real(2, 3), note="list", skip=DOUBLE)
for _label, _a, _b in (
    ("scalar-right", (2, 3), ()),
    ("scalars", (), ()),
    ("matrix-vector", (2, 3), (3,)),
    ("vector-matrix", (3,), (3, 2)),
    ("stacks", (2, 4, 3), (2, 3, 5)),
    ("stack-matrix", (2, 4, 3), (3, 5)),
):
    case(np.dot, None, real(*_a), real(*_b), note=_label)
    case(np.dot, None, cplx(*_a), cplx(*_b), note=_label + "-complex")
case(np.dot, lambda x: np.dot(x, 2.0), real(3), note="number", skip={"dtype": "NumPy converts the number"})
case(np.vdot, None, real(3), real(3), note="real")
case(np.vdot, None, cplx(2, 3), cplx(6), note="other-shape")
case(np.vdot, None, real(3), cplx(3), note="mixed")
case(np.inner, None, cplx(2, 4, 3), cplx(5, 3), note="stacks")
case(np.inner, None, real(), real(2, 3), note="scalar")
case(np.inner, None, real(3), real(2, 3), note="vector")
case(np.outer, None, cplx(2), cplx(3), note="complex")
case(np.outer, lambda a: np.outer(a, [1.0, 2.0]), real(2, 2), note="constant", skip=DOUBLE)
case(np.tensordot, lambda a, b: np.tensordot(a, b, axes=(-1, 0)), real(2, 3), real(3, 2), note="axis")
case(
    np.tensordot, lambda a, b: np.tensordot(a, b, axes=((2, 0, 1), (1, 2, 0))), real(2, 3, 4), real(3, 4, 2), note="all"
)
case(
    np.tensordot,
    lambda a, b: np.tensordot(a, b, axes=((0, 3), (3, 1))),
    real(2, 3, 4, 5),
    real(3, 5, 4, 2),
    note="order",
)
case(np.vecdot, None, cplx(2, 1, 3), cplx(4, 3), note="broadcast")
case(np.vecdot, None, real(3), real(3), note="vectors")
case(np.vecdot, lambda a, b: np.vecdot(a, b, axis=0), cplx(3, 2), cplx(3, 2), note="axis")
case(np.linalg.vecdot, lambda a, b: np.linalg.vecdot(a, b, axis=0), cplx(3, 2), cplx(3, 2), note="linalg-axis")
if hasattr(np, "matvec"):  # since NumPy 2.2
    case(np.matvec, None, cplx(2, 3), cplx(3))
    case(np.matvec, None, real(4, 2, 3), real(3), note="stack")
    case(np.matvec, None, real(2, 3), real(4, 3), note="vectors")
    case(np.vecmat, None, cplx(2), cplx(2, 3))
    case(np.vecmat, None, real(4, 2), real(2, 3), note="vectors")
    case(np.vecmat, None, cplx(2), cplx(4, 2, 3), note="stack")
case(np.kron, None, real(2, 3), real(3, 2))
case(np.kron, None, cplx(2), cplx(2, 3), note="vector-matrix")
case(np.kron, None, real(2, 2, 2), real(3), note="high")
case(np.kron, None, real(), real(2, 3), note="scalar")
case(np.cross, None, real(3), real(3))
case(np.cross, None, cplx(2, 3), cplx(4, 1, 3), note="broadcast")
case(np.cross, lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=0), real(3, 2), real(2, 3), note="axes")
case(np.linalg.cross, lambda a, b: np.linalg.cross(a, b, axis=0), real(3, 2), real(3, 2))
for _spec, _shapes in (
    ("abc,abd->cd", ((2, 3, 4), (2, 3, 5))),
    ("ab,bc,cd,de->ea", ((2, 3), (3, 2), (2, 4), (4, 2))),
    (",ij->ij", ((), (2, 3))),
    ("...ij,...j->...i", ((4, 1, 2, 3), (5, 3))),
    ("...a,...a", ((2, 3), (3,))),
    ("b...a->a...", ((2, 4, 3),)),
    ("ij,ji", ((2, 3), (3, 2))),
    ("iijj->ij", ((2, 2, 3, 3),)),
    ("ijij", ((2, 3, 2, 3),)),
    ("ii,jj->ij", ((2, 2), (3, 3))),
    ("ii,i->", ((3, 3), (3,))),
    ("i,j", ((2,), (3,))),
    ("ab,ab", ((1, 3), (2, 1))),
    ("...,...", ((2, 3), (3,))),
    ("iik,kjj->ij", ((2, 2, 3), (3, 2, 2))),
    ("ij,k,l->", ((2, 3), (2,), (3,))),
    ("ba,b", ((2, 3), (2,))),
    ("ba", ((2, 3),)),
    (" i j , j k -> i k ", ((2, 3), (3, 2))),
    ("i...,i...", ((3,), (3, 2))),
):
    case(np.einsum, lambda *xs, s=_spec: np.einsum(s, *xs), *(real(*s) for s in _shapes), note=_spec)
case(np.einsum, lambda x: np.einsum("ij,jk,ki", x, x, x), real(3, 3), note="repeated-operand")
case(np.einsum, lambda x: np.einsum("...ii->...i", x), cplx(2, 3, 3), note="complex-diagonal")
case(
    np.einsum, lambda a, b: np.einsum(a, [..., 0, 1], b, [1, 2]), real(4, 2, 3), real(3, 4), note="interleaved-implicit"
)
case(np.einsum, lambda a, b: np.einsum(a, [3, 26], b, [26, 1]), real(2, 3), real(3, 4), note="interleaved-order")
for _optimize in (True, "greedy", "optimal", ["einsum_path", (0, 1), (0, 1)], ("greedy", 1000)):
    case(
        np.einsum,
        lambda a, b, c, o=_optimize: np.einsum("ij,jk,kl->il", a, b, c, optimize=o),
        real(2, 3),
        real(3, 2),
        real(2, 4),
        note=f"optimize-{_optimize}",
    )
case(
    np.einsum,
    lambda a, b: np.einsum("ij,jk->ik", a, b),
    real(30, 20),
    real(20, 30),
    note="large",
    skip={"second": "differences of 1200 elements lose digits"},
)
case(np.einsum, lambda a: np.einsum("ij->j", a, dtype=np.complex128), real(2, 3), note="dtype", skip=CONVERTS)
case(np.diagonal, lambda x: np.diagonal(x, 3), real(3, 4), note="corner")
case(np.diagonal, lambda x: np.diagonal(x, -1, -1, 0), cplx(3, 2, 4), note="complex-axes")
case(np.diagonal, lambda x: np.diagonal(x, 7), real(3, 4), note="outside")
case(np.diagonal, lambda x: x.diagonal(1), real(3, 4), note="method")
case(np.linalg.diagonal, lambda x: np.linalg.diagonal(x, offset=-1), real(2, 3, 4), note="linalg-offset")
case(np.trace, lambda x: x.trace(1), cplx(3, 4), note="method")
case(np.trace, None, real(3, 3, 2), note="stack")
case(np.trace, lambda x: np.trace(x, dtype=np.complex128), real(3, 3), note="dtype", skip=CONVERTS)
case(np.linalg.trace, lambda x: np.linalg.trace(x, offset=1), real(2, 3, 4), note="offset")
case(np.diag, lambda x: np.diag(x, 2), cplx(3), note="vector-offset")
case(np.diagflat, None, real(2, 2))
case(np.diagflat, lambda x: np.diagflat(x, -1), real(3), note="offset")
case(np.tril, lambda x: np.tril(x, -1), cplx(3, 4), note="complex")
case(np.triu, None, real(3), note="vector")

# ---- linear algebra

case(np.linalg.solve, None, spd(2, 3, 3), real(3), note="stack-vector")
case(np.linalg.solve, None, spd(3, 3), real(2, 3, 2), note="matrix-stack")
case(np.linalg.solve, None, cplx(2, 2), cplx(2), note="complex-vector")
case(np.linalg.solve, lambda a: np.linalg.solve(a, [1.0, 2.0, 3.0]), spd(3, 3), note="constant", skip=DOUBLE)
case(
    np.linalg.solve,
    lambda b: np.linalg.solve(np.array([[2.0, 1.0], [0.5, 3.0]], b.dtype), b),
    real(2),
    note="constant-left",
)
case(np.linalg.tensorinv, None, real(2, 3, 6))
case(np.linalg.tensorinv, lambda a: np.linalg.tensorinv(a, ind=1), real(6, 2, 3), note="one")
case(np.linalg.tensorsolve, None, real(2, 3, 6), real(2, 3))
case(np.linalg.tensorsolve, lambda a, b: np.linalg.tensorsolve(a, b, axes=(0,)), real(6, 2, 3), real(2, 3), note="axes")
for _label, _shape in (("tall", (4, 2)), ("wide", (2, 4)), ("square", (3, 3)), ("stack", (2, 3, 2))):
    case(np.linalg.pinv, None, real(*_shape), note=_label)
    case(np.linalg.pinv, None, cplx(*_shape), note=_label + "-complex")
case(np.linalg.pinv, lambda u, v: np.linalg.pinv(u @ v, rcond=1e-4), real(4, 2), real(2, 3), note="deficient")
case(np.linalg.det, None, fixed([[1.0, 2.0], [2.0, 4.0]]), note="rank-1-of-2")
case(np.linalg.det, None, fixed(np.diag([2.0, -3.0, 0.0])), note="rank-2-of-3")
case(np.linalg.det, None, fixed(np.outer([1.0, 2.0, -1.0], [0.5, 1.0, 3.0])), note="rank-1-of-3")
case(
    np.linalg.det, None, fixed(np.outer([1.0, 2.0j, -1.0, 2.0], [0.5, 1.0 - 1j, 3.0, 1.0])), note="rank-1-of-4-complex"
)
case(np.linalg.det, None, fixed([np.eye(3), np.ones((3, 3)), np.zeros((3, 3))]), note="stack-of-ranks")
case(np.linalg.slogdet, None, fixed(np.array([[0.0, 1.0, 0.2], [1.0, 0.3, 0.0], [0.1, 0.0, 2.0]])), note="negative-3")
case(np.linalg.slogdet, lambda a: np.linalg.slogdet(a)[0] * 2.0, cplx(3, 3), note="complex-sign")
for _label, _draw in (("real", real), ("complex", cplx)):
    case(
        np.linalg.cholesky,
        lambda a: np.linalg.cholesky(a @ _conjugate_transpose(a) + np.eye(3)),
        _draw(2, 3, 3),
        note=f"gram-{_label}",
    )
    case(
        np.linalg.cholesky,
        lambda a: np.linalg.cholesky(a @ _conjugate_transpose(a) + np.eye(3), upper=True),
        _draw(2, 3, 3),
        note=f"gram-upper-{_label}",
    )
    for _note, _shape in (("tall", (4, 3)), ("square", (3, 3)), ("stack", (2, 3, 2))):
        case(np.linalg.qr, None, _draw(*_shape), note=f"{_note}-{_label}")
    case(np.linalg.qr, lambda a: np.linalg.qr(a, "r"), _draw(4, 3), note=f"triangle-{_label}")
    case(np.linalg.matrix_power, lambda a: np.linalg.matrix_power(a, 3), _draw(3, 3), note=f"cube-{_label}")
case(np.linalg.qr, lambda a: np.linalg.qr(a, "complete"), real(3, 3), note="complete")
for _n in (-2, 0, 1, 2, 5, 6):
    case(np.linalg.matrix_power, lambda a, n=_n: np.linalg.matrix_power(a, n), spd(2, 3, 3), note=str(_n))
case(np.linalg.multi_dot, lambda *xs: np.linalg.multi_dot(xs), real(2, 3), real(3, 2), note="two")
case(np.linalg.multi_dot, lambda *xs: np.linalg.multi_dot(xs), real(10, 2), real(2, 5), real(5, 3), note="three")
case(np.linalg.multi_dot, lambda *xs: np.linalg.multi_dot(xs), real(3), real(3, 5), real(5, 2), real(2), note="vectors")
case(np.linalg.multi_dot, lambda *xs: np.linalg.multi_dot(xs), real(3), real(3, 4), real(4, 2), note="vector-left")
case(
    np.linalg.multi_dot,
    lambda *xs: np.linalg.multi_dot(xs),
    cplx(6, 2),
    cplx(2, 5),
    cplx(5, 3),
    cplx(3, 4),
    note="four",
)
case(np.linalg.eigh, lambda a: np.linalg.eigh(0.5 * (a + a.T)), real(4, 4), note="indefinite")
case(
    np.linalg.eigh, lambda a: np.linalg.eigh(0.5 * (a + np.swapaxes(a, -1, -2)), "U"), spd(2, 3, 3), note="upper-stack"
)
case(
    np.linalg.eigh,
    lambda a: (
        (e := np.linalg.eigh(a + _conjugate_transpose(a))).eigenvectors
        * np.exp(0.1 * e.eigenvalues)[..., None, :]
        @ _conjugate_transpose(e.eigenvectors)
    ),
    cplx(2, 3, 3),
    note="exponential-complex",
)
case(np.linalg.eigvalsh, lambda a: np.linalg.eigvalsh(a + _conjugate_transpose(a), "U"), cplx(2, 3, 3), note="complex")
for _label, _shape in (("tall", (4, 2)), ("wide", (2, 4)), ("stack", (2, 3, 2))):
    case(np.linalg.svd, lambda a: np.linalg.svd(a, full_matrices=False), real(*_shape), note=_label)
    case(
        np.linalg.svd,
        lambda a: (f := np.linalg.svd(a, full_matrices=False)).U * np.sin(f.S)[..., None, :] @ f.Vh,
        cplx(*_shape),
        note=_label + "-complex",
    )
    case(
        np.linalg.svd,
        lambda a: np.abs((f := np.linalg.svd(a, full_matrices=False)).U) ** 2 * f.S[..., None, :],
        cplx(*_shape),
        note=_label + "-left-complex",
    )
case(np.linalg.svd, None, real(3, 3), note="square")
case(np.linalg.svd, lambda a: np.linalg.svd(a, compute_uv=False), cplx(2, 3, 2), note="values")
case(np.linalg.svdvals, None, real(2, 4, 3), note="stack")
for _ord in (None, 1, 2, 3, 0.5, -1, -2.5, np.inf, -np.inf, 0):
    case(np.linalg.norm, lambda x, o=_ord: np.linalg.norm(x, o, axis=-1), cplx(2, 3), note=f"vectors-complex-{_ord}")
    case(
        np.linalg.vector_norm,
        lambda x, o=_ord: np.linalg.vector_norm(x, axis=1, ord=2 if o is None else o),
        real(2, 3, 2, low=0.3),
        note=f"axis-{_ord}",
    )
for _ord in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
    case(
        np.linalg.norm,
        lambda x, o=_ord: np.linalg.norm(x, o, axis=(2, 0), keepdims=True),
        cplx(2, 4, 3),
        note=f"stack-complex-{_ord}",
    )
    case(np.linalg.matrix_norm, lambda x, o=_ord: np.linalg.matrix_norm(x, ord=o), real(4, 2, 3), note=f"stack-{_ord}")
case(np.linalg.norm, lambda x: np.linalg.norm(x, keepdims=True), cplx(2, 3, 2), note="all-keepdims-complex")
case(np.linalg.norm, lambda x: np.linalg.norm(x, 3, keepdims=True), real(3), note="keepdims")
case(np.linalg.norm, lambda x: np.linalg.norm(x, axis=(1, -1)), real(2, 3, 2), note="negative-axes")
case(np.linalg.vector_norm, lambda x: np.linalg.vector_norm(x, keepdims=True), cplx(2, 3), note="keepdims-complex")
case(np.linalg.vector_norm, lambda x: np.linalg.vector_norm(x, axis=(2, 0)), cplx(2, 3, 2), note="axes-complex")
