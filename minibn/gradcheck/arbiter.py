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
KINK = "a kink of the function"


class Arbiter(Probe):
    """Central differences of ``sum(upstream * function(**inputs))``, to stand beside a complex step."""

    def __init__(self, function, inputs, upstream):
        super().__init__(function, inputs, upstream, "central")

    def verdict(self, name, slope, direction, largest, doubted=False):
        """Whether the complex step's slope of one input is "confirmed", "overruled" or "unsettled".

        Overruled: central differences decide. Unsettled: they do not agree with each other. ``largest`` is the
        largest slope of the check. A slope is doubted where it calls a gradient wrong: a smaller difference counts
        too, if it is as sure.
        """
        central, otherwise = [], "unsettled"
        for size in SIZES:      # most are confirmed by the first, at two evaluations
            central.append(self._real_slope(name, direction, size))
            scale = error_scale([value for value in (slope, *central) if np.isfinite(value)], largest)
            if abs(central[-1] - slope) <= CENTRAL_TOLERANCE * scale:
                otherwise = "confirmed"
                if not doubted:
                    return otherwise
        if not self._agree(central):
            return otherwise
        central += [self._real_slope(name, direction, size) for size in CONFIRMATIONS]
        gap = min(abs(value - slope) for value in central)
        # Nor is what rounding could make: a slope of 1e-20 is beyond every central difference. A NaN is no small gap.
        sure = self._agree(central) and not gap <= max(MARGIN * np.ptp(central), self._rounding())
        return "overruled" if sure else otherwise

    def kink(self, name, index, analytic):
        """The hint on one element where the function has a kink there and `analytic` lies between its two slopes.

        Empty elsewhere: a smooth function's two slopes differ by s times its curvature, which vanishes with s. At a
        kink (relu or abs at 0, the tie of a maximum, the edge of a clip) the difference stays.
        """
        flat_index = np.ravel_multi_index(index, self.inputs[name].shape)
        near, nearer = (self.sides(name, flat_index, size) for size in SIZES)
        jump, still = near[1] - near[0], nearer[1] - nearer[0]
        slack = 0.01 * abs(jump)
        if not (abs(jump) > AGREEMENT * max(map(abs, near)) and abs(jump - still) <= slack
                and min(near) - slack <= analytic <= max(near) + slack):
            return ""
        at = ",".join(map(str, map(int, index)))
        return (f"{KINK} at [{at}] (relu or abs at 0, a tie of a maximum, the edge of a clip?): its slope "
                f"is {nearer[0]:+.6g} below and {nearer[1]:+.6g} above, and the gradient by hand lies between them; "
                f"move the input off the kink")

    def _agree(self, central):
        return np.ptp(central) <= max(AGREEMENT * max(map(abs, central)), self._rounding())

    def _rounding(self):
        """How large a slope of nothing but rounding may be."""
        return ROUNDINGS * np.finfo(np.float64).eps * self.size() / min(SIZES)

    def _real_slope(self, name, direction, size):
        try:
            with np.errstate(all="ignore"):
                return self.along(name, direction, size)
        except (ArithmeticError, ValueError):       # beside the point where it is evaluated it may not be defined
            return np.nan
