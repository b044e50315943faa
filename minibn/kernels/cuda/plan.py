"""How the work is cut: which hidden units each block of threads owns, and what it keeps in shared memory.

A sequence runs in one launch where every block is resident (one on each multiprocessor) and its slice of W_h fits in
shared memory beside its share of one time step. Where that cannot be, `sequence_plan` is None, and the recurrence
runs step by step: a library's product and one fused kernel each.

The numbers here follow from sizes and limits; what is a guess at speed, for want of a measurement, says so.
"""

from typing import NamedTuple

QUAD = 4                # as in common.cuh
THREADS = 256           # of a block that runs a whole sequence; a guess
STEP_THREADS = 128      # of a block that runs one step; a guess
CHUNK_BYTES = 40 * 1024         # in shared memory at a time, so that waiting and multiplying overlap; a guess
LEAST_CHUNK = 8         # rows in shared memory at a time, or all; a guess
SPLITS = (1, 2, 4, 8)
TILES = (8, 4, 1)       # columns that a thread multiplies

# For the choice between plans, rough figures for recent GPUs, not measured by us: bytes that one multiprocessor reads
# from the L2 cache in a nanosecond, how long a barrier for all blocks takes, and one row of the product for every tile.
L2_BYTES_PER_NS = 40
BARRIER_NS = 1500
ROW_NS = {8: 80, 4: 30, 1: 22}


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
    tile: int
    parts: int
    workspace: int
    blocks: int
    threads: int
    shared_bytes: int

    @property
    def arguments(self):
        """The fields of `Plan` in common.cuh."""
        return self[:10]


class Memory(NamedTuple):
    """What a block keeps for one time step, in numbers; and which and how many examples are live."""

    unit_rows: tuple        # pieces of (k * units * N) numbers
    unit_values: tuple      # pieces of (k * units) numbers

    def numbers(self, units, N):
        """Their sum; each piece is rounded up, as in common.cuh."""
        pieces = [*(k * units * N for k in self.unit_rows), *(k * units for k in self.unit_values), N, 1]
        return sum(map(_rounded, pieces))


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
    plans = [plan for split in SPLITS for tile in TILES
             if (plan := _plan_with(split, tile, N, H, all_rows, columns_per_unit, memory, itemsize, limits))]
    return min(plans, key=lambda plan: _step_ns(plan, columns_per_unit, itemsize), default=None)


def _step_ns(plan, columns_per_unit, itemsize):
    """A guess at the time of one step's product: what plans differ in."""
    reading = plan.rows * plan.N * itemsize / L2_BYTES_PER_NS
    passes = _divided(plan.N, plan.examples)
    product = passes * _divided(plan.rows, plan.parts) * ROW_NS[plan.tile] * itemsize / 4
    time = max(reading, product) if plan.rows > 2 * plan.chunk else reading + product
    if plan.split > 1:
        own_columns = plan.units * columns_per_unit
        time += BARRIER_NS + 2 * plan.split * own_columns * plan.N * itemsize / L2_BYTES_PER_NS
    return time


def _plan_with(split, tile, N, H, all_rows, columns_per_unit, memory, itemsize, limits):
    groups = limits.multiprocessors // split
    if groups == 0:
        return None
    units = _divided(H, groups * split)
    blocks = _divided(H, units * split) * split
    rows = _divided(all_rows, split)
    columns = units * split * columns_per_unit
    together = 2 * QUAD if tile == 8 else QUAD                        # examples of one thread
    most_examples = THREADS // (columns // tile) * together if columns % tile == 0 else 0
    if most_examples == 0:
        return None
    passes = _divided(N, most_examples)
    examples = _divided(_divided(N, passes), together) * together
    fixed = _rounded(rows * columns) + memory.numbers(units, N)
    places = limits.shared_bytes // itemsize - fixed                  # for chunks, and for sums afterwards
    tiles = columns // tile * (examples // together)
    parts = min(THREADS // tiles, rows, places // (columns * examples))
    chunk = min(rows, max(LEAST_CHUNK, CHUNK_BYTES // (examples * itemsize)), places // (2 * examples))
    if parts < 1 or chunk < min(rows, LEAST_CHUNK):
        return None
    shared_bytes = (fixed + max(2 * chunk, parts * columns) * examples) * itemsize
    return Plan(N, H, units, split, rows, chunk, examples, tile, parts, 0, blocks, THREADS, shared_bytes)


def step_plan(N, H, memory, itemsize, limits):
    """The plan for one step in a launch: a unit for each block, its numbers in shared memory if they fit there."""
    numbers = memory.numbers(1, N)
    fits = numbers * itemsize <= limits.shared_bytes
    return Plan(N, H, 1, 1, 0, 0, 0, 0, 0, 0 if fits else numbers, H, STEP_THREADS, numbers * itemsize if fits else 0)


def _divided(a, b):
    return -(-a // b)


def _rounded(a):
    return _divided(a, QUAD) * QUAD
