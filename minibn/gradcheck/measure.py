"""How wrong is a gradient? One formula, used everywhere."""

import numpy as np

FLOOR = 1e-3
"""A tensor is measured against its own largest gradient, but never against less than this part of the largest
gradient in the check."""


def error_scale(numeric, largest=0.0):
    """The size against which the errors of one tensor are measured.

    A gradient that is exactly zero (a learned ``h0`` under batch statistics) is known only up to rounding, so
    its own size is no yardstick; the largest gradient of the same check is.
    """
    own = float(np.max(np.abs(numeric), initial=0.0))
    # The smallest normal number stands in when every gradient of a check is exactly zero.
    return max(own, FLOOR * float(largest), float(np.finfo(np.float64).tiny))


def gradient_error(analytic, numeric, largest=0.0):
    """``max|a - n| / max(max|n|, 1e-3 * largest)``: the error of one tensor's gradient.

    Parameters
    ----------
    analytic, numeric : array_like of the same shape
        The gradient by hand and the reference, on the host.
    largest : float
        The largest absolute value in any reference gradient of the same check.

    Returns
    -------
    float
        NaN when either gradient holds a NaN: it then lies within no tolerance.
    """
    analytic, numeric = np.asarray(analytic), np.asarray(numeric)
    if analytic.shape != numeric.shape:
        raise ValueError(f"analytic: expected the shape of numeric {numeric.shape}, got {analytic.shape}; "
                         f"compare gradients of the same tensor")
    return float(np.max(np.abs(analytic - numeric), initial=0.0)) / error_scale(numeric, largest)


def largest_gradient(gradients):
    """The largest absolute value in several arrays, 0 if there is none."""
    return max((float(np.max(np.abs(gradient), initial=0.0)) for gradient in gradients), default=0.0)
