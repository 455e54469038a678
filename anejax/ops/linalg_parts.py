"""Linear algebra on complex matrices in the form that devices run: real and imaginary parts along a last axis.

Each primitive of ``linalg`` and ``eigen`` has such a form. It has the same memory, and it lowers to the same operation
with the flag ``complex``. passes/complex writes these forms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.primitive import Primitive, Refused
from anejax.ops.complex import in_parts, of_parts
from anejax.ops.eigen import eig_p, schur_p
from anejax.ops.families import primitive
from anejax.ops.linalg import cholesky_p, eigh_p, lu_p, over_leading_axes, qr_p, svd_p, triangular_solve_p

_SPENT = Refused("passes/complex makes it when derivatives are spent; differentiate the primitive it stands for")


def _joined(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).view(dtypes.complex_of(x.dtype))[..., 0]


def _split(x: np.ndarray) -> np.ndarray:
    if x.dtype not in dtypes.COMPLEX:
        return x
    return np.ascontiguousarray(x)[..., None].view(dtypes.real_part(x.dtype))


def _form(prim: Primitive) -> Primitive:
    """``prim`` on parts. ``complex``: whether its operands are; those of eig may be real where its results are not."""
    form = primitive(f"{prim.name}_parts", multiple_results=prim.multiple_results)

    def abstract(*xs: Aval, complex: bool, **params: Any) -> Any:
        outs = prim.out_avals([of_parts(x) for x in xs] if complex else list(xs), params)
        ports = [in_parts(o) for o in outs]
        return ports if prim.multiple_results else ports[0]

    def impl(*xs: np.ndarray, complex: bool, **params: Any) -> Any:
        outs = prim.rule("impl")(*(map(_joined, xs) if complex else xs), **params)
        return [_split(o) for o in outs] if prim.multiple_results else _split(outs)

    return form.fill(
        abstract=abstract,
        impl=impl,
        jvp=_SPENT,
        transpose=_SPENT,
        batch=over_leading_axes(form),
        mil=prim.mil,
        native_eager=prim.native_eager,
    )


FORMS: dict[str, Primitive] = {
    p.name: _form(p) for p in (cholesky_p, triangular_solve_p, lu_p, qr_p, eigh_p, svd_p, eig_p, schur_p)
}
