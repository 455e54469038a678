"""Networks, each in a few lines of ``anejax.nn`` layers."""
