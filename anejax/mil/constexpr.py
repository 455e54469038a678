"""MIL's operations that decompress weights. Only exported packages contain them (export/compress.py).

Values of fewer than eight bits are stored in arrays of int8 or uint8. The operation's attribute BITS says how many bits
of each element are used.
"""

SCALED = "constexpr_blockwise_shift_scale"  # scale * (data - offset), data in small integers
PALETTE = "constexpr_lut_to_dense"  # lut[indices]
BITS = "bits"
