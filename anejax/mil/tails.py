"""Coefficients of functions that Apple's dialects lack, highest power first.

For a from 1 to 2 (``ERFC_TO_TWO``) and from 2 on (``ERFC_FROM_TWO``) the complementary error function is
``exp(-a ** 2) / a * p(1 / a ** 2)``. Source: Cephes (S. L. Moshier), ndtrf.c.
"""

ERFC_TO_TWO = (
    2.326819970068386e-2, -1.387039388740657e-1, 3.687424674597105e-1, -5.824733027278666e-1, 6.210004621745983e-1,
    -4.944515323274145e-1, 3.404879937665872e-1, -2.741127028184656e-1, 5.638259427386472e-1,
)  # fmt: skip
ERFC_FROM_TWO = (
    -1.047766399936249e1, 1.297719955372516e1, -7.495518717768503, 2.921019019210786, -1.015265279202700,
    4.218463358204948e-1, -2.820767439740514e-1, 5.641895067754075e-1,
)  # fmt: skip
