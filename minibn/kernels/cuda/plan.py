"""How the work is cut: which hidden units each block of threads owns, and what it keeps in shared memory.

A sequence runs in one launch where every block is resident (one on each multiprocessor) and its slice of W_h fits in
shared memory beside its share of one time step. Where that cannot be, `sequence_plan` is None, and the recurrence
runs step by step: a library's product and one fused kernel each.

The numbers here follow from sizes and limits; what is a guess at speed, for want of a measurement, says so.
"""

from typing import NamedTuple

TILE = 4                # as in common.cuh
THREADS = 256           # of a block that runs a whole sequence; a guess
STEP_THREADS = 128      # of a block that runs one step; a guess
MOST_PARTS = 16         # threads that share one sum; a guess
LEAST_CHUNK = 8         # rows in shared memory at a time, or all; with fewer the waiting is not hidden; a guess
SPLITS = (1, 2, 4, 8)

# For the choice between splits: bytes that one multiprocessor reads from the L2 cache in a nanosecond, and how long a
# barrier for all blocks takes. Rough figures for recent GPUs, not measured by us.
L2_BYTES_PER_NS = 40
BARRIER_NS = 1500


class Limits(NamedTuple):
    """What the device allows."""

    multiprocessors: int
    shared_bytes: int       # of one block


class Plan(NamedTuple):
    """`Plan` of common.cuh, in that order, and the launch."""

    N: int
    H: int
    units: int
    split: int
    rows: int
    chunk: int
    examples: int
    parts: int
    workspace: int
    blocks: int
    threads: int
    shared_bytes: int

    @property
    def arguments(self):
        """The fields of `Plan` in common.cuh."""
        return self[:9]


class Memory(NamedTuple):
    """What a block keeps for one time step, counted in numbers: for each unit and example, each unit, each example."""

    unit_rows: tuple        # pieces of (k * units * N) numbers
    unit_values: tuple      # pieces of (k * units) numbers
    example_rows: int = 1   # pieces of N numbers

    def numbers(self, units, N):
        """Their sum; each piece is rounded up, as in common.cuh."""
        return (sum(_rounded(k * units * N) for k in self.unit_rows) + sum(_rounded(k * units) for k in self.unit_values)
                + self.example_rows * _rounded(N))


def sequence_plan(N, H, all_rows, columns_per_unit, memory, itemsize, limits):
    """The plan for a whole sequence in one launch, or None where it does not fit.

    Parameters
    ----------
    N, H : int
    all_rows : int
        Rows of the recurrent product: H forward, G backward.
    columns_per_unit : int
        Its columns for each hidden unit: G / H forward, 1 backward.
    memory : Memory
        Of one step.
    itemsize : int
        Bytes of a number.
    limits : Limits
    """
    plans = [plan for split in SPLITS
             if (plan := _plan_with(split, N, H, all_rows, columns_per_unit, memory, itemsize, limits))]
    return min(plans, key=lambda plan: _waiting_ns(plan, itemsize), default=None)


def _waiting_ns(plan, itemsize):
    """Time of one step for what crosses blocks; the rest is the same for all splits."""
    reading = plan.rows * plan.N * itemsize / L2_BYTES_PER_NS
    return reading + (BARRIER_NS if plan.split > 1 else 0)


def _plan_with(split, N, H, all_rows, columns_per_unit, memory, itemsize, limits):
    groups = limits.multiprocessors // split
    if groups == 0:
        return None
    units = _divided(H, groups * split)
    blocks = _divided(H, units * split) * split
    rows = _divided(all_rows, split)
    columns = units * split * columns_per_unit
    column_tiles = columns // TILE if columns % TILE == 0 else columns
    most_examples = THREADS // column_tiles * TILE
    if most_examples == 0:
        return None
    passes = _divided(_rounded(N), most_examples)
    examples = _rounded(_divided(N, passes))
    parts = min(THREADS // (column_tiles * examples // TILE), MOST_PARTS, rows)
    fixed = _rounded(rows * columns) + _rounded(parts * columns * examples) + memory.numbers(units, N)
    chunk = min(rows, (limits.shared_bytes // itemsize - fixed) // (2 * examples))
    if chunk < min(rows, LEAST_CHUNK):
        return None
    shared_bytes = (fixed + _rounded(2 * chunk * examples)) * itemsize
    return Plan(N, H, units, split, rows, chunk, examples, parts, 0, blocks, THREADS, shared_bytes)


def step_plan(N, H, memory, itemsize, limits):
    """The plan for one step in a launch: a unit for each block, its numbers in shared memory if they fit there."""
    numbers = memory.numbers(1, N)
    fits = numbers * itemsize <= limits.shared_bytes
    return Plan(N, H, 1, 1, 0, 0, 0, 0, 0 if fits else numbers, H, STEP_THREADS, numbers * itemsize if fits else 0)


def _divided(a, b):
    return -(-a // b)


def _rounded(a):
    return _divided(a, TILE) * TILE
