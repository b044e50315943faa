"""A stand-in for `cupy.RawModule` that compiles the CUDA sources with g++ and runs them on the CPU, as fibers.

It goes with `strict_cupy`, whose arrays the kernels get. What a GPU would not forgive, or would forgive silently, fails
here: arguments of another number, type or dtype than the kernel's; arrays that are not contiguous; more shared memory
than was asked for or allowed; a grid for a barrier that would not be resident; threads that wait for ever; writing
beyond an array, or to one that is only read. The four files beside this are the machine.
"""

import ctypes
import functools
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import strict_cupy

HERE = Path(__file__).parent
# The two options of the second line: a library keeps its variables to itself, though others have them under that name.
COMPILER = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas",
            "-fno-gnu-unique", "-Wl,-Bsymbolic"]
SHARED_BYTES_UNASKED = 48 * 1024                # every device has as much
COPIES_HERE = "// THE COPIES OF minibn/kernels/cuda/machine.cuh\n"
GUARD = 256                                     # bytes before and behind each array
MACHINE = Path(__file__).parents[2] / "minibn" / "kernels" / "cuda" / "machine.cuh"


class Machine:
    """What a test may set: the device's limits, the order in which threads run, and where libraries are kept."""

    multiprocessors = 5
    shared_bytes = 227 * 1024
    order = 0
    folder = None
    launches = []


def library(code, options):
    """The compiled library of one module; it is built once for each text."""
    machine = MACHINE.read_text(encoding="utf-8")
    assert machine in code, "the sources do not include machine.cuh"
    parts = [(HERE / name).read_text(encoding="utf-8") for name in ("cuda_on_cpu.h", "machine.cuh", "launch.h")]
    copies = re.search("#if __CUDA_ARCH__ >= 800\n.*?#endif\n", machine, re.DOTALL)[0]     # not defined here: 0
    code = code.replace(machine, parts[1].replace(COPIES_HERE, copies))
    names = re.findall(r"__global__ void __launch_bounds__\([^)]*\) (\w+)\(", code) + _names_from_macros(code)
    registered = "".join(f'static const bool {name}_added = cuda_on_cpu::add_kernel("{name}", {name});\n'
                         for name in names)
    text = "\n".join([parts[0], code, parts[2], registered])
    key = hashlib.sha256((text + " ".join([*COMPILER, *options])).encode()).hexdigest()[:16]
    target = Path(Machine.folder) / f"{key}.so"
    if not target.exists():
        source = target.with_suffix(f".{os.getpid()}.cpp")
        source.write_text(text, encoding="utf-8")
        built = target.with_suffix(f".{os.getpid()}.so")
        result = subprocess.run([*COMPILER, *options, str(source), "-o", str(built)], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        built.replace(target)
    loaded = ctypes.CDLL(str(target))
    loaded.kernel_signature.restype = loaded.launch_kernel.restype = ctypes.c_char_p
    return loaded


def _names_from_macros(code):
    """The kernels that the macros FAMILY_KERNELS(name, ...) define."""
    pieces = re.findall(r" name##(_\w+)\(", code)
    return [name + piece for name in re.findall(r"^[A-Z]+_KERNELS\((\w+), ", code, re.MULTILINE) for piece in pieces]


class RawModule:
    def __init__(self, *, code, options=()):
        assert isinstance(code, str) and isinstance(options, tuple)
        self._library = library(code, options)
        self._real = {"-DREAL=float": np.dtype("f"), "-DREAL=double": np.dtype("d")}[options[0]]

    def get_function(self, name):
        signature = self._library.kernel_signature(name.encode())
        assert signature, f"no kernel called {name}"
        return RawKernel(self._library, name, signature.decode(), self._real)


class RawKernel:
    def __init__(self, library, name, signature, real):
        self._library, self.name, self._signature, self._real = library, name, signature, real
        self.max_dynamic_shared_size_bytes = SHARED_BYTES_UNASKED

    def __call__(self, grid, block, args, *, shared_mem=0):
        self.kernel(grid, block, args, shared_mem)

    def kernel(self, grid, block, args, shared_mem=0, stream=None, enable_cooperative_groups=False):
        """CuPy's `Function` behind a `RawKernel`: the launch itself."""
        [blocks], [threads] = grid, block
        assert 0 < blocks and 0 < threads <= 256 and threads % 32 == 0
        assert shared_mem <= min(self.max_dynamic_shared_size_bytes, max(Machine.shared_bytes, SHARED_BYTES_UNASKED))
        if enable_cooperative_groups:
            assert blocks <= Machine.multiprocessors, "not all blocks would be resident"
        assert len(args) == len(self._signature), f"{self.name}: {len(args)} arguments, not {len(self._signature)}"
        arrays = Arrays()
        values = [self._value(code, arg, arrays, position)
                  for position, (code, arg) in enumerate(zip(self._signature, args, strict=True))]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.cast(ctypes.pointer(v), ctypes.c_void_p) for v in values))
        strict_cupy._record("operation", self.name)
        Machine.launches.append((self.name, blocks, threads, shared_mem))
        problem = self._library.launch_kernel(self.name.encode(), blocks, threads, ctypes.c_size_t(shared_mem),
                                              enable_cooperative_groups, Machine.order, pointers)
        assert problem is None, f"{self.name}: {problem.decode()}"
        arrays.bring_back()

    def _value(self, code, arg, arrays, position):
        where = f"{self.name}, argument {position} ({code})"
        if code == "i":
            assert type(arg) is np.int32, f"{where}: {type(arg)}"
            return ctypes.c_int32(arg)
        if code == "r":
            assert type(arg) is self._real.type, f"{where}: {type(arg)}"
            return (ctypes.c_float if self._real.char == "f" else ctypes.c_double)(arg)
        if type(arg) is np.uintp:
            assert arg == 0, where
            return ctypes.c_void_p(0)
        assert isinstance(arg, strict_cupy.ndarray), f"{where}: {type(arg)}"
        dtype = {"R": self._real, "W": self._real, "B": np.dtype(bool), "U": np.dtype("u4"), "L": np.dtype("i8")}[code]
        assert arg.dtype == dtype, f"{where}: dtype {arg.dtype}"
        assert arg.flags.c_contiguous, f"{where}: not contiguous"
        return ctypes.c_void_p(arrays.address(arg._host, written=code in "WU"))


class Arrays:
    """Copies of a launch's arrays with guards around them; the same memory given twice is the same here."""

    def __init__(self):
        self._copies = {}

    def address(self, host, written):
        key = (host.ctypes.data, host.nbytes)
        if key not in self._copies:
            for start, size in self._copies:
                assert key[0] >= start + size or start >= key[0] + key[1], "arrays that overlap in part"
            memory = np.full(host.nbytes + 2 * GUARD + 64, 0xA5, np.uint8)
            offset = -memory.ctypes.data % 64 + GUARD
            memory[offset:offset + host.nbytes] = np.ascontiguousarray(host).reshape(-1).view(np.uint8)
            self._copies[key] = [host, memory, offset, False]
        self._copies[key][3] |= written
        return self._copies[key][1].ctypes.data + self._copies[key][2]

    def bring_back(self):
        for host, memory, offset, written in self._copies.values():
            inside = memory[offset:offset + host.nbytes].view(host.dtype).reshape(host.shape)
            outside = np.concatenate([memory[:offset], memory[offset + host.nbytes:]])
            assert (outside == 0xA5).all(), "a kernel wrote beyond an array"
            if written:
                host[...] = inside
            else:
                assert np.array_equal(host.view(np.uint8), inside.view(np.uint8)), "an array only read was written"


def _poisoned(empty, *args, **kwargs):
    """New memory holds NaN, so that a number read before it is written shows."""
    array = empty(*args, **kwargs)
    if array.dtype.kind == "f":
        array._host.fill(np.nan)
    return array


def install(monkeypatch, folder):
    """Make the stand-in for CuPy run kernels until the test ends; returns it."""
    cupy = strict_cupy.install(monkeypatch)
    Machine.folder = folder
    Machine.multiprocessors, Machine.shared_bytes, Machine.order, Machine.launches = 5, 227 * 1024, 0, []
    monkeypatch.setattr(cupy, "RawModule", RawModule, raising=False)
    monkeypatch.setattr(cupy, "empty", functools.partial(_poisoned, cupy.empty))
    monkeypatch.setattr(cupy.cuda, "Device", lambda number=0: SimpleNamespace(attributes={
        "MultiProcessorCount": Machine.multiprocessors, "MaxSharedMemoryPerBlockOptin": Machine.shared_bytes}))
    monkeypatch.setattr(cupy.cuda.runtime, "getDevice", lambda: 0, raising=False)
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceProperties",
                        lambda number: {"name": b"Tesla T4", "major": 7, "minor": 5}, raising=False)
    for name in [name for name in sys.modules if name.startswith("minibn.kernels.cuda")]:
        monkeypatch.delitem(sys.modules, name)          # it may know the real CuPy
    return cupy
