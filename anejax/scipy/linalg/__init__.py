"""jax.scipy.linalg on anejax: the functions that SciPy has beyond anejax.numpy.linalg."""

from anejax.absent import getattr_of
from anejax.scipy.linalg.factoring import cho_factor as cho_factor
from anejax.scipy.linalg.factoring import cho_solve as cho_solve
from anejax.scipy.linalg.factoring import cholesky as cholesky
from anejax.scipy.linalg.factoring import det as det
from anejax.scipy.linalg.factoring import eigh as eigh
from anejax.scipy.linalg.factoring import eigh_tridiagonal as eigh_tridiagonal
from anejax.scipy.linalg.factoring import inv as inv
from anejax.scipy.linalg.factoring import lu as lu
from anejax.scipy.linalg.factoring import lu_factor as lu_factor
from anejax.scipy.linalg.factoring import lu_solve as lu_solve
from anejax.scipy.linalg.factoring import polar as polar
from anejax.scipy.linalg.factoring import qr as qr
from anejax.scipy.linalg.factoring import qr_multiply as qr_multiply
from anejax.scipy.linalg.factoring import solve as solve
from anejax.scipy.linalg.factoring import solve_triangular as solve_triangular
from anejax.scipy.linalg.factoring import svd as svd
from anejax.scipy.linalg.functions import expm as expm
from anejax.scipy.linalg.functions import expm_frechet as expm_frechet
from anejax.scipy.linalg.functions import solve_sylvester as solve_sylvester
from anejax.scipy.linalg.schur_form import funm as funm
from anejax.scipy.linalg.schur_form import rsf2csf as rsf2csf
from anejax.scipy.linalg.schur_form import schur as schur
from anejax.scipy.linalg.schur_form import sqrtm as sqrtm
from anejax.scipy.linalg.structured import block_diag as block_diag
from anejax.scipy.linalg.structured import circulant as circulant
from anejax.scipy.linalg.structured import companion as companion
from anejax.scipy.linalg.structured import convolution_matrix as convolution_matrix
from anejax.scipy.linalg.structured import dft as dft
from anejax.scipy.linalg.structured import fiedler as fiedler
from anejax.scipy.linalg.structured import fiedler_companion as fiedler_companion
from anejax.scipy.linalg.structured import hadamard as hadamard
from anejax.scipy.linalg.structured import hankel as hankel
from anejax.scipy.linalg.structured import helmert as helmert
from anejax.scipy.linalg.structured import hilbert as hilbert
from anejax.scipy.linalg.structured import invhilbert as invhilbert
from anejax.scipy.linalg.structured import invpascal as invpascal
from anejax.scipy.linalg.structured import leslie as leslie
from anejax.scipy.linalg.structured import pascal as pascal
from anejax.scipy.linalg.structured import toeplitz as toeplitz

__all__ = [
    "block_diag", "cho_factor", "cho_solve", "cholesky", "circulant", "companion", "convolution_matrix", "det",
    "dft", "eigh", "eigh_tridiagonal", "expm", "expm_frechet", "fiedler", "fiedler_companion", "funm", "hadamard",
    "hankel", "helmert", "hilbert", "inv", "invhilbert", "invpascal", "leslie", "lu", "lu_factor", "lu_solve",
    "pascal", "polar", "qr", "qr_multiply", "rsf2csf", "schur", "solve", "solve_sylvester", "solve_triangular",
    "sqrtm", "svd", "toeplitz"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
