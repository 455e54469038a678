"""Names of MIL's operations that make weights of fewer bytes; only exported packages have them (export/compress.py)."""

SCALED = "constexpr_blockwise_shift_scale"  # scale * (data - offset), data in small integers
