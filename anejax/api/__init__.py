"""The transformations and other functions that ``anejax`` exports, one module for each group."""
