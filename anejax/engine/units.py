"""Formats microseconds and bytes for people."""

from __future__ import annotations


def time_text(us: float) -> str:
    """``us`` microseconds: "12.3 us", or "4.56 ms" from 1000 on."""
    return f"{us:.1f} us" if us < 1000 else f"{us / 1000:.2f} ms"


def bytes_text(n: int) -> str:
    """``n`` bytes: "80 B", "1.2 kB", "3.4 MB", "5.6 GB"; a kB is 1000 of them."""
    if n < 1000:
        return f"{n} B"
    size, unit = next((n / 1000**i, u) for i, u in ((1, "kB"), (2, "MB"), (3, "GB")) if n < 1000 ** (i + 1) or i == 3)
    return f"{size:.1f} {unit}"
