"""MIL's operations that make weights of fewer bytes; only exported packages have them (export/compress.py).

What has fewer than eight bits stands in arrays of int8 or uint8, and the operation's attribute BITS says how many of
them count.
"""

SCALED = "constexpr_blockwise_shift_scale"  # scale * (data - offset), data in small integers
PALETTE = "constexpr_lut_to_dense"  # lut[indices]
BITS = "bits"
