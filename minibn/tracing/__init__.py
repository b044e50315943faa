"""Every intermediate quantity and its gradient, at every time step: to look at and to check.

`trace` runs a layer, or a whole reader, forward and backward and keeps all of it; see there.
"""

from minibn.tracing.entry import trace
from minibn.tracing.record import Traced
from minibn.tracing.step import Step
from minibn.tracing.trace import Trace

__all__ = ["Step", "Trace", "Traced", "trace"]
