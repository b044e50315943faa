"""May the complex step be believed? Central differences along one direction stand beside it.

The complex step is right to the last digit where the function is analytic, and silently wrong where it is not:
``np.var`` or ``abs`` drop the imaginary part, and what flows through them is lost. Central differences know of no
imaginary part, but know only some nine digits, and none where the function amplifies rounding (a batch norm of
nearly equal rows). So they overrule the complex step only where they prove that they can be believed themselves.
"""

import numpy as np

from minibn.gradcheck.measure import error_scale
from minibn.gradcheck.numeric import Probe

CENTRAL_TOLERANCE = 1e-6
"""What a right gradient is held to by central differences. A complex step this close to them is left alone: nothing
that they could call wrong would be passed."""
AGREEMENT = 1e-5
"""Two step sizes that differ by more than this part of themselves do not agree. Their own size counts, not that of
the complex step: it may be right and huge, where a step is so long that a batch norm saturates."""
ROUNDINGS = 10
"""Slopes that differ by so many roundings of the outputs agree too: on zero."""
MARGIN = 10
"""Two step sizes differ by about the error of the worse one: truncation grows with s^2, rounding with 1/s, so a
factor of ten in s sets them apart. A complex step that is right lies within their difference of the better one.
Ten times that, at every size tried, is no accident of rounding."""
SIZES = (1e-5, 1e-6)
CONFIRMATIONS = (3e-6, 2e-6)


class Arbiter:
    """Central differences of ``sum(upstream * function(**inputs))``, to stand beside a complex step.

    Attributes
    ----------
    probe : Probe
        Of the central differences.
    overruled, unsettled : list of str
        The inputs for which they decide; those for which they do not agree with each other.
    """

    def __init__(self, function, inputs, upstream):
        self.probe = Probe(function, inputs, upstream, "central")
        self.overruled, self.unsettled = [], []

    def judge(self, slopes, directions, doubted=()):
        """Sort the inputs into the two lists.

        Parameters
        ----------
        slopes : dict of str to float
            The complex step along each direction.
        directions : dict of str to ndarray
        doubted : container of str
            Where the complex step calls a gradient wrong: a smaller difference counts too, if it is as sure.
        """
        largest = max((abs(slope) for slope in slopes.values() if np.isfinite(slope)), default=0.0)
        for name, slope in slopes.items():
            verdict = self._verdict(name, slope, directions[name], largest, name in doubted)
            if verdict is not None:
                verdict.append(name)

    def _verdict(self, name, slope, direction, largest, doubted):
        """The list that an input belongs to; None where the complex step is confirmed."""
        central, otherwise = [], self.unsettled
        for size in SIZES:      # most are confirmed by the first, at two evaluations
            central.append(self._slope(name, direction, size))
            scale = error_scale([value for value in (slope, *central) if np.isfinite(value)], largest)
            if abs(central[-1] - slope) <= CENTRAL_TOLERANCE * scale:
                otherwise = None
                if not doubted:
                    return None
        if not self._agree(central):
            return otherwise
        central += [self._slope(name, direction, size) for size in CONFIRMATIONS]
        gap = min(abs(value - slope) for value in central)
        # Nor is what rounding could make: a slope of 1e-20 is beyond every central difference. A NaN is no small gap.
        sure = self._agree(central) and not gap <= max(MARGIN * np.ptp(central), self._rounding())
        return self.overruled if sure else otherwise

    def _agree(self, central):
        return np.ptp(central) <= max(AGREEMENT * max(map(abs, central)), self._rounding())

    def _rounding(self):
        """How large a slope of nothing but rounding may be."""
        return ROUNDINGS * np.finfo(np.float64).eps * self.probe.size() / min(SIZES)

    def _slope(self, name, direction, size):
        try:
            with np.errstate(all="ignore"):
                return self.probe.along(name, direction, size)
        except (ArithmeticError, ValueError):       # beside the point where it is evaluated it may not be defined
            return np.nan


def kink_at(probe, name, flat_index, analytic):
    """The slopes on either side of one element where the function has a kink there and `analytic` lies between them.

    A smooth function's two slopes differ by s times its curvature, which vanishes with s. At a kink (relu or abs
    at 0, the tie of a maximum, the edge of a clip) the difference stays.

    Returns
    -------
    tuple of float, or None
        (below, above)
    """
    near, nearer = (probe.sides(name, flat_index, size) for size in SIZES)
    jump, still = near[1] - near[0], nearer[1] - nearer[0]
    slack = 0.01 * abs(jump)
    if not (abs(jump) > AGREEMENT * max(map(abs, near)) and abs(jump - still) <= slack
            and min(near) - slack <= analytic <= max(near) + slack):
        return None
    return nearer
