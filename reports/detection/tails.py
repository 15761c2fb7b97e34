"""Tails of the negative binomial: how surprising a count is when people do not report independently."""

from __future__ import annotations

import numpy as np
from scipy import special

from reports.detection.decisions import FloatArray

LN10 = float(np.log(10.0))

_UNDERFLOW = -290.0
"""log10 below which ``betainc`` has lost its digits and the leading term of the tail is used instead."""

_LARGEST_SHAPE = 1e7
"""Beyond this the negative binomial is a Poisson for every count we can meet."""


def log10_tail(count: FloatArray, mean: FloatArray, shape: FloatArray) -> FloatArray:
    """log10 of P(N >= count) for N negative binomial with Var = mean + mean**2 / shape; elementwise, at most 0.

    Exact (regularised incomplete beta) down to 1e-290; below, the leading term with a geometric remainder, whose
    relative error there is under 1 %. Source: NIST DLMF 8.17(vii) for the tail as an incomplete beta function.
    """
    count = np.asarray(count, dtype=np.float64)
    mean = np.maximum(np.asarray(mean, dtype=np.float64), 1e-12)
    shape = np.minimum(np.asarray(shape, dtype=np.float64), _LARGEST_SHAPE)
    odds = mean / (mean + shape)
    with np.errstate(divide="ignore"):
        result = np.log10(special.betainc(np.maximum(count, 1e-9), shape, odds))
    deep = result < _UNDERFLOW
    if np.any(deep):
        n, k, q = (np.broadcast_to(x, result.shape)[deep] for x in (count, shape, odds))
        log_pmf = (
            special.gammaln(n + k) - special.gammaln(k) - special.gammaln(n + 1.0) + k * np.log1p(-q) + n * np.log(q)
        )
        ratio = np.minimum((n + k) / (n + 1.0) * q, 1.0 - 1e-9)
        result = np.array(result)
        result[deep] = (log_pmf - np.log1p(-ratio)) / LN10
    tail: FloatArray = np.where(count <= 0, 0.0, np.minimum(result, 0.0))
    return tail


def log10_chernoff(count: FloatArray, mean: FloatArray, shape: FloatArray) -> FloatArray:
    """An upper bound of :func:`log10_tail` at a tenth of its price (Chernoff, 1952); 0 where count <= mean.

    Used to leave out the cells that cannot pass a threshold before the exact tail is computed.
    """
    n = np.maximum(count, 1e-9)
    rate = n * np.log(n / mean) - (n + shape) * np.log((n + shape) / (mean + shape))
    bound: FloatArray = np.where(count > mean, -rate / LN10, 0.0)
    return bound


def upper_quantile(mean: FloatArray, shape: FloatArray, probability: float) -> FloatArray:
    """The ``probability`` quantile of the negative binomial (mean, shape), elementwise, as a real number.

    Wilson-Hilferty on the gamma mixture plus the Poisson share: smooth, which a chart's band wants, and within one
    report of the exact quantile for means from 0 to 10,000 at 0.9 to 0.999.
    """
    mean = np.maximum(np.asarray(mean, dtype=np.float64), 0.0)
    variance = mean + mean**2 / shape
    # Match a gamma distribution to mean and variance of N + 1/2 and take its quantile.
    centre = mean + 0.5
    a = centre**2 / np.maximum(variance, 1e-12)
    quantile: FloatArray = np.where(mean > 0, special.gammaincinv(a, probability) * centre / a, 0.0)
    return quantile
