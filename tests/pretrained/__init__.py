"""Pretrained models. ``make models-check`` holds them against transformers and makes the fixtures of the fast tests."""
