"""Networks: the functions of ``jax.nn``, initial values, and layers.

A layer has ``init(key, x) -> (params, state)`` and ``apply(params, state, x, *, key=None, train=False) -> (y, state)``.
"""

from anejax.absent import getattr_of
from anejax.nn import initializers as initializers
from anejax.nn.activation import GELU as GELU
from anejax.nn.activation import Dropout as Dropout
from anejax.nn.activation import Flatten as Flatten
from anejax.nn.activation import LeakyReLU as LeakyReLU
from anejax.nn.activation import PReLU as PReLU
from anejax.nn.activation import ReLU as ReLU
from anejax.nn.activation import Sigmoid as Sigmoid
from anejax.nn.activation import SiLU as SiLU
from anejax.nn.activation import Softmax as Softmax
from anejax.nn.activation import Tanh as Tanh
from anejax.nn.attention import MultiHeadAttention as MultiHeadAttention
from anejax.nn.attention import SwiGLU as SwiGLU
from anejax.nn.attention import rotary as rotary
from anejax.nn.functions import celu as celu
from anejax.nn.functions import dot_product_attention as dot_product_attention
from anejax.nn.functions import elu as elu
from anejax.nn.functions import gelu as gelu
from anejax.nn.functions import glu as glu
from anejax.nn.functions import hard_sigmoid as hard_sigmoid
from anejax.nn.functions import hard_silu as hard_silu
from anejax.nn.functions import hard_swish as hard_swish
from anejax.nn.functions import hard_tanh as hard_tanh
from anejax.nn.functions import identity as identity
from anejax.nn.functions import leaky_relu as leaky_relu
from anejax.nn.functions import log1mexp as log1mexp
from anejax.nn.functions import log_sigmoid as log_sigmoid
from anejax.nn.functions import log_softmax as log_softmax
from anejax.nn.functions import logmeanexp as logmeanexp
from anejax.nn.functions import logsumexp as logsumexp
from anejax.nn.functions import mish as mish
from anejax.nn.functions import one_hot as one_hot
from anejax.nn.functions import relu as relu
from anejax.nn.functions import relu6 as relu6
from anejax.nn.functions import selu as selu
from anejax.nn.functions import sigmoid as sigmoid
from anejax.nn.functions import silu as silu
from anejax.nn.functions import soft_sign as soft_sign
from anejax.nn.functions import softmax as softmax
from anejax.nn.functions import softplus as softplus
from anejax.nn.functions import sparse_plus as sparse_plus
from anejax.nn.functions import sparse_sigmoid as sparse_sigmoid
from anejax.nn.functions import squareplus as squareplus
from anejax.nn.functions import standardize as standardize
from anejax.nn.functions import swish as swish
from anejax.nn.functions import tanh as tanh
from anejax.nn.layer import Lambda as Lambda
from anejax.nn.layer import Layer as Layer
from anejax.nn.layer import Remat as Remat
from anejax.nn.layer import Residual as Residual
from anejax.nn.layer import Scope as Scope
from anejax.nn.layer import Sequential as Sequential
from anejax.nn.layer import apply_as as apply_as
from anejax.nn.layer import count_parameters as count_parameters
from anejax.nn.linear import Conv1D as Conv1D
from anejax.nn.linear import Conv2D as Conv2D
from anejax.nn.linear import ConvTranspose1D as ConvTranspose1D
from anejax.nn.linear import ConvTranspose2D as ConvTranspose2D
from anejax.nn.linear import Embedding as Embedding
from anejax.nn.linear import Linear as Linear
from anejax.nn.names import parameter_names as parameter_names
from anejax.nn.norm import BatchNorm as BatchNorm
from anejax.nn.norm import GroupNorm as GroupNorm
from anejax.nn.norm import InstanceNorm as InstanceNorm
from anejax.nn.norm import LayerNorm as LayerNorm
from anejax.nn.norm import RMSNorm as RMSNorm
from anejax.nn.pool import AdaptiveAvgPool as AdaptiveAvgPool
from anejax.nn.pool import AdaptiveMaxPool as AdaptiveMaxPool
from anejax.nn.pool import AvgPool as AvgPool
from anejax.nn.pool import GlobalAvgPool as GlobalAvgPool
from anejax.nn.pool import MaxPool as MaxPool
from anejax.nn.summary import Summary as Summary
from anejax.nn.summary import summary as summary
from anejax.nn.transformer import TransformerBlock as TransformerBlock

__getattr__ = getattr_of(__name__)
from anejax.nn.recurrent import GRU as GRU
from anejax.nn.recurrent import LSTM as LSTM
from anejax.nn.recurrent import RNN as RNN
from anejax.nn.recurrent import Bidirectional as Bidirectional
from anejax.nn.recurrent import Cell as Cell
from anejax.nn.recurrent import GRUCell as GRUCell
from anejax.nn.recurrent import LSTMCell as LSTMCell
from anejax.nn.recurrent import Recurrent as Recurrent
from anejax.nn.recurrent import RNNCell as RNNCell

__all__ = [
    "AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "BatchNorm", "Bidirectional", "Cell", "Conv1D", "Conv2D",
    "ConvTranspose1D", "ConvTranspose2D", "Dropout", "Embedding", "Flatten", "GELU", "GRU", "GRUCell",
    "GlobalAvgPool", "GroupNorm", "InstanceNorm", "LSTM", "LSTMCell", "Lambda", "Layer", "LayerNorm", "LeakyReLU",
    "Linear", "MaxPool", "MultiHeadAttention", "PReLU", "RMSNorm", "RNN", "RNNCell", "ReLU", "Recurrent", "Remat",
    "Residual", "Scope", "Sequential", "SiLU", "Sigmoid", "Softmax", "Summary", "SwiGLU", "Tanh",
    "TransformerBlock", "apply_as", "celu", "count_parameters", "dot_product_attention", "elu", "gelu", "glu",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "initializers", "leaky_relu", "log1mexp",
    "log_sigmoid", "log_softmax", "logmeanexp", "logsumexp", "mish", "one_hot", "parameter_names", "relu", "relu6",
    "rotary", "selu", "sigmoid", "silu", "soft_sign", "softmax", "softplus", "sparse_plus", "sparse_sigmoid",
    "squareplus", "standardize", "summary", "swish", "tanh"
]  # fmt: skip
