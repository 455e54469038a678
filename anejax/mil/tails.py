"""Coefficients of functions that Apple's dialects lack, highest power first.

For a from 1 to 2 (``ERFC_TO_TWO``) and from 2 on (``ERFC_FROM_TWO``) the complementary error function is
``exp(-a ** 2) / a * p(1 / a ** 2)``. Source: Cephes (S. L. Moshier), ndtrf.c.

With w = -log(1 - x ** 2), the inverse of erf is ``x * p(2 * w / 5 - 1)`` up to w = 5 (``ERF_INV_CENTRE``)
and ``x * p(t)`` from there to the last x below 1 (``ERF_INV_TAIL``), t being sqrt(w) with the ends ``ERF_INV_ROOTS`` of
its range moved to -1 and 1. The variables are those of Giles, "Approximating the erfinv function" (2010). The
coefficients are of our own interpolation, in float64, of SciPy's erfinv and erfcinv at Chebyshev's points.
"""

ERFC_TO_TWO = (
    2.326819970068386e-2, -1.387039388740657e-1, 3.687424674597105e-1, -5.824733027278666e-1, 6.210004621745983e-1,
    -4.944515323274145e-1, 3.404879937665872e-1, -2.741127028184656e-1, 5.638259427386472e-1,
)  # fmt: skip
ERFC_FROM_TWO = (
    -1.047766399936249e1, 1.297719955372516e1, -7.495518717768503, 2.921019019210786, -1.015265279202700,
    4.218463358204948e-1, -2.820767439740514e-1, 5.641895067754075e-1,
)  # fmt: skip
ERF_INV_CENTRE = (
    4.45550169e-06, -3.333668027e-05, 2.439011644e-05, 0.0002840682438, -0.0008357945013, -0.0004843449018,
    0.008525692343, -0.01957419536, -0.02610825025, 0.6166007236, 1.501409351,
)  # fmt: skip
ERF_INV_TAIL = (
    5.725446383e-05, -7.690198406e-05, -0.0002030630137, 0.0007829599589, -0.001535871278, 0.002453686687,
    -0.00379030134, 0.005565098847, 0.9308894977, 2.996505454,
)  # fmt: skip
ERF_INV_ROOTS = (5**0.5, 4.09)
