"""Core AI: programs as IR text, which Apple's package parses and saves as an .aimodel."""
