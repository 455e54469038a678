"""Translates programs to Core AI's text, which Apple's package parses, saves as an .aimodel and runs."""

from anejax.coreai import bits as bits
from anejax.coreai import control as control
from anejax.coreai import elementwise as elementwise
from anejax.coreai import movement as movement
from anejax.coreai import products as products
from anejax.coreai import reductions as reductions
from anejax.coreai import weights as weights
