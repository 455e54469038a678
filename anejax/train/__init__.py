"""Training: ``fit`` trains any layer on any data; the other modules are the runs of ``anejax train``."""

from anejax.train.fitting import CrossEntropy as CrossEntropy
from anejax.train.fitting import Fitted as Fitted
from anejax.train.fitting import JsonLines as JsonLines
from anejax.train.fitting import LabelError as LabelError
from anejax.train.fitting import TensorBoard as TensorBoard
from anejax.train.fitting import evaluate as evaluate
from anejax.train.fitting import fit as fit
from anejax.train.fitting import predict as predict
from anejax.train.fitting import squared_error as squared_error

__all__ = [
    "CrossEntropy", "Fitted", "JsonLines", "LabelError", "TensorBoard", "evaluate", "fit", "predict",
    "squared_error"
]  # fmt: skip
