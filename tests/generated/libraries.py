"""The two libraries under one set of names, so that a call is written once."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy
import jax.scipy.cluster.vq
import jax.scipy.fft
import jax.scipy.integrate
import jax.scipy.interpolate
import jax.scipy.linalg
import jax.scipy.ndimage
import jax.scipy.optimize
import jax.scipy.signal
import jax.scipy.sparse.linalg
import jax.scipy.spatial.transform
import jax.scipy.special
import jax.scipy.stats

import anejax as aj
import anejax.numpy

OURS = SimpleNamespace(np=anejax.numpy, lax=aj.lax, nn=aj.nn, random=aj.random, scipy=aj.scipy, t=aj)
JAX = SimpleNamespace(np=jax.numpy, lax=jax.lax, nn=jax.nn, random=jax.random, scipy=jax.scipy, t=jax)
