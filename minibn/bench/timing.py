"""Clocks, what is timed, alternating rounds, medians and ratios."""

import math
import statistics
import sys
import time

MINIMUM_SECONDS = 0.1       # one turn of an entrant; what is shorter is repeated, and averaged
MOST_REPEATS = 50
LONG_SECONDS = 1.0          # in a run of this length a cold start does not show
SETTLE_SECONDS = 0.05       # idle threads of the entrant before may spin for that long after their work is done


class HostClock:
    """For libraries that return when they are done."""

    mark = staticmethod(time.perf_counter)

    @staticmethod
    def seconds(start, end):
        """Between two marks."""
        return end - start


class DeviceClock:
    """CUDA events, recorded on the stream of the work: nothing waits before the last mark.

    ``new_event()`` makes one with ``record()`` and ``synchronize()``; ``milliseconds(start, end)`` lie between two.
    """

    def __init__(self, new_event, milliseconds):
        self.new_event, self.milliseconds = new_event, milliseconds

    def mark(self):
        """An event after everything launched so far."""
        event = self.new_event()
        event.record()
        return event

    def seconds(self, start, end):
        """Between two marks, on the device."""
        end.synchronize()
        return self.milliseconds(start, end) / 1e3


def clock_for(device):
    """The clock of NumPy or CuPy work."""
    if device == "cpu":
        return HostClock()
    cupy = sys.modules["cupy"]                           # whoever has moved arrays to the device has imported it
    return DeviceClock(cupy.cuda.Event, cupy.cuda.get_elapsed_time)


class Timed:
    """What has a ``clock``, a ``forward()`` and a ``backward(result of the forward)``: both are timed."""

    def measure(self, repeats):
        """Mean seconds of each part, of so many runs.

        One run before them is not counted: a process that has waited for its turn finds its caches cold, and on some
        systems its memory taken back, which cost up to 25 ms in the first call of a turn. If that run was long, it is
        the answer.
        """
        first = self.run()
        if sum(first.values()) >= LONG_SECONDS:
            return first
        runs = [self.run() for _ in range(repeats)]
        return {part: sum(times[part] for times in runs) / repeats for part in first}

    def run(self):
        """Seconds of forward and backward. To throw away what was kept belongs to the backward, as in training."""
        start = self.clock.mark()
        kept = self.forward()
        middle = self.clock.mark()
        self.backward(kept)
        del kept
        end = self.clock.mark()
        return {"forward": self.clock.seconds(start, middle), "backward": self.clock.seconds(middle, end)}

    def device_bytes(self):
        """What CuPy has taken of the GPU's memory so far; it gives nothing back by itself."""
        return sys.modules["cupy"].get_default_memory_pool().total_bytes()


def alternate(turns, rounds, say=None):
    """Let everybody take turns: A B C A B C ...

    Two rounds more are not counted. The first warms up (and compiles, where something is compiled); the times of the
    second say how often a short entrant is repeated per turn.

    Parameters
    ----------
    turns : dict of str to callable
        ``turn(repeats)`` returns part -> seconds; who raises RuntimeError is out.
    rounds : int
    say : callable, optional
        Is told, in a line, how far it is.

    Returns
    -------
    times : dict
        name -> part -> list of seconds, one per round. "total" is "forward" plus "backward" where there are both.
    failures : dict
        name -> what went wrong; such an entrant has no times.
    """
    times, failures, repeats = {name: {} for name in turns}, {}, {}
    for round in range(-1, rounds + 1):
        if say:
            say(f"round {round} of {rounds}" if round > 0 else "warming up")
        for name, turn in turns.items():
            if name in failures:
                continue
            time.sleep(SETTLE_SECONDS)
            try:
                measured = turn(repeats[name] if round > 0 else 1)
            except RuntimeError as error:
                failures[name] = str(error)
                del times[name]
                continue
            if round < 1:
                wanted = math.ceil(MINIMUM_SECONDS / max(sum(measured.values()), 1e-9))
                repeats[name] = min(max(wanted, 1), MOST_REPEATS)
                continue
            if "total" not in measured:
                measured["total"] = measured["forward"] + measured["backward"]
            for part, seconds in measured.items():
                times[name].setdefault(part, []).append(seconds)
    return times, failures


def median_ratio(mine, theirs):
    """The median over rounds of mine / theirs: both of a round were measured side by side."""
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
