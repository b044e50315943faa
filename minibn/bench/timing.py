"""Clocks, alternating rounds, medians and ratios."""

import math
import statistics
import sys
import time

MINIMUM_SECONDS = 0.1       # one turn of an entrant; what is shorter is repeated, and averaged
MOST_REPEATS = 50
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

    Parameters
    ----------
    new_event : callable
        Makes an event with ``record()`` and ``synchronize()``.
    milliseconds : callable
        ``milliseconds(start, end)``.
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


def mean_of_repeats(run, repeats):
    """Call `run`, which returns part -> seconds, several times: part -> mean.

    Once more at first, not counted: a process that has waited for its turn finds its caches cold, and on some
    systems its memory taken back, which cost up to 25 ms in the first call of a turn.
    """
    run()
    runs = [run() for _ in range(repeats)]
    return {part: sum(times[part] for times in runs) / repeats for part in runs[0]}


def alternate(workers, rounds, say=None):
    """Let the workers take turns: A B C A B C ...

    Two rounds more are not counted. The first warms up (and compiles, where something is compiled); the times of the
    second say how often a short entrant is repeated per turn.

    Parameters
    ----------
    workers : dict of str to worker
        ``worker.measure(repeats)`` returns part -> seconds; a worker that raises RuntimeError is out.
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
    times, failures, repeats = {name: {} for name in workers}, {}, {}
    for turn in range(-1, rounds + 1):
        if say:
            say(f"round {turn} of {rounds}" if turn > 0 else "warming up")
        for name, worker in workers.items():
            if name in failures:
                continue
            time.sleep(SETTLE_SECONDS)
            try:
                measured = worker.measure(repeats[name] if turn > 0 else 1)
            except RuntimeError as error:
                failures[name] = str(error)
                del times[name]
                continue
            if turn < 1:
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
