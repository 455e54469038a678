"""MIL as a separate library: the operation table, typed programs, text, verification, weight files.

Nothing here knows anejax's Graph. Code that lowers a Graph uses `program.Builder`.
"""
