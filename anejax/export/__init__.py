"""Programs for other hosts than this library's own devices."""
