"""A stand-in for CuPy where there is no GPU: it computes with NumPy, and is as strict as CuPy or stricter.

Installed as ``sys.modules["cupy"]`` (see `install`) it lets the whole engine run "on the device" and shows
what a GPU would only show later or not at all. Its rules were read from the sources of CuPy, its names and
keywords compared with CuPy 14.2.0.

- A NumPy array never meets a device array: operators in both directions, functions, assignment, in-place,
  ``out=``. Python and NumPy scalars are accepted, and promote as in NumPy 2.
- What CuPy lacks does not exist here: functions, methods and keywords come from explicit lists. A name that
  CuPy has and a list lacks may be added; `test_strict_cupy.py` holds the lists against a real CuPy.
- Results stay on the device, 0-d ones too. float(), int(), bool(), printing, .item(), .get(), boolean mask
  indexing and nonzero() make the host wait: each is counted as a synchronisation.
- `counting` counts operations (what would be at least one kernel launch), synchronisations and uploads.
- Integer index arrays out of range wrap around, as on CuPy; NumPy index arrays are accepted (an upload each).

Stricter than CuPy on purpose, because what passes there is slow, undefined or hides a mistake:
``numpy.f(device_array)``, which CuPy dispatches; NumPy arrays in the places where CuPy uploads them silently
(einsum, values assigned through index arrays) or hands them back to NumPy (sum, mean); assignment through
duplicate indices, which is undefined there; writing to a broadcast view.

It is no substitute for a GPU: the rounding of other kernels, the order of atomic additions, asynchronous
errors and speed are seen only there.
"""

import contextlib
import functools
import sys
from collections import Counter
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np

IMPLICIT_CONVERSION = (
    "Implicit conversion to a NumPy array is not allowed. "
    "Please use `.get()` to construct a NumPy array explicitly."
)
DEVICE_DTYPES = set("?bhilqBHILQefdFD")  # no longdouble, no objects, no strings

# ---- Counting ----


class Counts:
    """What happened inside a ``with counting(cupy) as counts:`` block."""

    def __init__(self):
        self.events = []  # (kind, name, place)

    def _number(self, kind):
        return sum(1 for event in self.events if event[0] == kind)

    @property
    def operations(self):
        return self._number("operation")

    @property
    def synchronisations(self):
        return self._number("synchronisation")

    @property
    def uploads(self):
        return self._number("upload")

    def names(self, kind="operation"):
        """How often each operation (or ``kind``) happened, by name."""
        return Counter(name for event, name, _ in self.events if event == kind)

    def places(self, kind="synchronisation"):
        """``file:line name`` of each event of one kind, for the message of a failing assertion."""
        return [f"{place} {name}" for event, name, place in self.events if event == kind]


_open_counts = []


@contextlib.contextmanager
def counting(cupy):
    """Count what happens on the device inside the block; blocks may be nested."""
    assert isinstance(cupy, StrictCuPy), "only the stand-in can be counted"
    counts = Counts()
    _open_counts.append(counts)
    try:
        yield counts
    finally:
        _open_counts.remove(counts)


def _record(kind, name):
    if not _open_counts:
        return
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ and frame.f_back is not None:
        frame = frame.f_back
    for counts in _open_counts:
        counts.events.append((kind, name, f"{frame.f_code.co_filename}:{frame.f_lineno}"))


# ---- What may meet ----


def _unsupported(value):
    return TypeError(f"Unsupported type {type(value)}")


def _device(value):
    """The NumPy array behind a device array; anything else is refused."""
    if not isinstance(value, ndarray):
        raise _unsupported(value)
    return value._host


def _operand(value):
    """A device array or a scalar, as NumPy sees it."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, bool | int | float | complex):
        return value
    if isinstance(value, np.generic) and value.dtype.char in DEVICE_DTYPES:
        return value
    raise _unsupported(value)


def _argument(value):
    """Any other argument (axis, shape, dtype, a list of arrays ...); a NumPy array is refused in it."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise _unsupported(value)
    if isinstance(value, tuple | list):
        return type(value)(_argument(item) for item in value)
    return value


def _adopt(host):
    """A device array around what NumPy returned; a NumPy scalar becomes a 0-d array."""
    array = object.__new__(ndarray)
    array._host = np.asarray(host)
    _check_dtype(array._host.dtype)
    return array


def _adopt_all(result):
    if isinstance(result, list):
        return [_adopt(item) for item in result]
    return tuple(_adopt(item) for item in result) if isinstance(result, tuple) else _adopt(result)


def _check_keywords(name, given, allowed):
    for keyword in given:
        if keyword not in allowed:
            raise TypeError(f"Wrong arguments {{{keyword!r}: ...}}: CuPy's {name} does not take it")


# ---- Universal functions ----


class ufunc:
    """A universal function: one operation per call. There is ``out=`` but, as in CuPy, no ``where=``."""

    def __init__(self, name):
        self.__name__ = name
        self._numpy = getattr(np, name)

    def __repr__(self):
        return f"<ufunc '{self.__name__}' of the CuPy stand-in>"

    def __call__(self, *args, out=None, **keywords):
        _check_keywords(self.__name__, keywords, {"dtype", "casting"})
        inputs = [_operand(arg) for arg in args[: self._numpy.nin]]
        targets = args[self._numpy.nin :] or ((out,) if out is not None else ())
        if targets:
            keywords["out"] = _device(*targets)
        with np.errstate(all="ignore"):  # a GPU raises no floating-point warnings
            result = self._numpy(*inputs, **keywords)
        _record("operation", self.__name__)
        return targets[0] if targets else _adopt_all(result)

    def at(self, a, indices, b=None):
        """``a[indices] += b`` with every duplicate counted (atomic additions on a GPU)."""
        host, value = _device(a), _operand(b)
        if self.__name__ not in ("add", "maximum", "minimum"):
            raise NotImplementedError(f"`cupy_{self.__name__}.at` is not supported yet")
        index, kind = _host_index(indices, host.shape)
        if kind == "integer" and host.dtype.char not in ("ifdILQ" + ("e" if self.__name__ == "add" else "")):
            raise TypeError(f"scatter_add only supports int32, float16, float32, float64, uint32, uint64, "
                            f"as data type, got {host.dtype}")
        self._numpy.at(host, index, value)
        _record("operation", f"{self.__name__}.at")

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        method = {"add": "sum", "multiply": "prod"}.get(self.__name__)
        if method is None:
            raise NotImplementedError(f"`cupy_{self.__name__}.reduce` is not supported yet")
        return getattr(_adopt(_device(array)), method)(axis, dtype, out, keepdims)


UFUNCS = """
    add subtract multiply divide true_divide floor_divide remainder mod power negative positive absolute abs
    sign square sqrt reciprocal exp expm1 log log2 log10 log1p logaddexp tanh sinh cosh sin cos tan arctan
    arctanh hypot maximum minimum fmax fmin floor ceil trunc rint conj conjugate isfinite isinf isnan
    equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not
    bitwise_and bitwise_or bitwise_xor invert
""".split()
_UFUNCS = {name: ufunc(name) for name in UFUNCS}


# ---- Indexing ----


def _host_index(index, shape):
    """`index` for NumPy, with index arrays wrapped around as on CuPy; and its kind: view, integer or mask."""
    parts = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, ndarray):
            part = part._host
        elif isinstance(part, np.ndarray | list | tuple | bool | np.bool_):
            _record("upload", "index array")
            part = np.asarray(part)
            part = part if part.size else part.astype(np.int32)
        if isinstance(part, np.ndarray) and part.dtype.kind not in "biu":
            raise IndexError("arrays used as indices must be of integer or boolean type. "
                             f"(actual: {part.dtype.type})")
        parts.append(part)
    axes = [0 if part is None or part is Ellipsis else part.ndim if _is_mask(part) else 1 for part in parts]
    if not any(part is Ellipsis for part in parts):
        # With an ellipsis NumPy returns a 0-d view instead of a scalar: the result stays on the device.
        parts.append(Ellipsis)
        axes.append(0)
    kind, axis = "view", 0
    for position, part in enumerate(parts):
        if part is Ellipsis:
            axis = len(shape) - sum(axes[position:])
        elif _is_mask(part):
            kind = "mask"
        elif isinstance(part, np.ndarray):
            kind = "integer" if kind == "view" else kind
            if axis < len(shape) and shape[axis]:
                parts[position] = part % shape[axis]
        axis += axes[position]
    return tuple(parts), kind


def _is_mask(part):
    return isinstance(part, np.ndarray) and part.dtype.kind == "b"


def _refuse_duplicates(index, shape):
    """Which value `a[index] = values` stores for an index that occurs twice is undefined on CuPy."""
    positions = np.arange(int(np.prod(shape))).reshape(shape)[index]
    if np.unique(positions).size != positions.size:
        raise ValueError("assignment through duplicate indices: which value is stored is undefined on CuPy; "
                         "use add.at, or make the indices unique")


# ---- The array ----


def _binary(name):
    function = _UFUNCS[name]

    def forward(self, other):
        return function(self, other)

    def reflected(self, other):
        return function(other, self)

    def in_place(self, other):
        return function(self, other, out=self)

    return forward, reflected, in_place


def _method(name, keywords, cost):
    keywords = keywords.split()

    @functools.wraps(getattr(np.ndarray, name))
    def method(self, *args, **kwargs):
        host = self._host
        return _call(f"ndarray.{name}", getattr(host, name), args, kwargs, keywords, 0, cost, source=host)

    return method


class ndarray:
    """``cupy.ndarray``: holds a NumPy array that nobody but the stand-in may touch."""

    __slots__ = ("_host",)
    __array_ufunc__ = None  # numpy_array + device_array comes to __radd__, which refuses it
    __hash__ = None

    def __init__(self, shape, dtype=float, order="C"):
        self._host = np.empty(shape, _check_dtype(dtype), order)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(IMPLICIT_CONVERSION)

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called with a device array; "
                        f"take the function from the array's own module")

    # -- what the host may know without waiting ------------------------------------------------------------

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    T = property(lambda self: _adopt(self._host.T))
    mT = property(lambda self: _adopt(self._host.mT))
    real = property(lambda self: _adopt(self._host.real))
    imag = property(lambda self: _adopt(self._host.imag))

    @property
    def flags(self):
        flags = self._host.flags  # CuPy's flags have these three only: no `writeable`
        return SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous,
                               owndata=flags.owndata)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # -- what makes the host wait --------------------------------------------------------------------------

    def get(self, stream=None, order="C", out=None, blocking=True):
        _record("synchronisation", "get")
        if out is None:
            return np.array(self._host, order=order)
        out[...] = self._host
        return out

    def item(self, *args):
        _record("synchronisation", "item")
        return self._host.item(*args)

    def tolist(self):
        _record("synchronisation", "tolist")
        return self._host.tolist()

    def nonzero(self):
        _record("synchronisation", "nonzero")
        _record("operation", "nonzero")
        return _adopt_all(self._host.nonzero())

    def _waits(function, name):
        def method(self, *args):
            _record("synchronisation", name)
            return function(self._host, *args)

        return method

    __bool__ = _waits(bool, "bool")
    __int__ = _waits(int, "int")
    __float__ = _waits(float, "float")
    __complex__ = _waits(complex, "complex")
    __repr__ = _waits(repr, "repr")
    __str__ = _waits(str, "str")
    __format__ = _waits(format, "format")
    del _waits

    def __reduce__(self):
        return _from_host, (self.get(),)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    # -- indexing ------------------------------------------------------------------------------------------

    def __getitem__(self, index):
        host_index, kind = _host_index(index, self.shape)
        if kind == "mask":
            _record("synchronisation", "boolean mask index")  # the size of the result depends on the values
        if kind != "view":
            _record("operation", "getitem")
        return _adopt(self._host[host_index])

    def __setitem__(self, index, value):
        host_value = _operand(value)
        host_index, kind = _host_index(index, self.shape)
        if kind == "mask":
            _record("synchronisation", "boolean mask index")
        elif kind == "integer" and isinstance(value, ndarray):
            _refuse_duplicates(host_index, self.shape)
        self._host[host_index] = host_value
        _record("operation", "setitem")

    def fill(self, value):
        self[...] = value

    def take(self, indices, axis=None, out=None):
        return _cupy_take(self, indices, axis, out)

    # -- arithmetic ----------------------------------------------------------------------------------------

    __add__, __radd__, __iadd__ = _binary("add")
    __sub__, __rsub__, __isub__ = _binary("subtract")
    __mul__, __rmul__, __imul__ = _binary("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _binary("true_divide")
    __floordiv__, __rfloordiv__, __ifloordiv__ = _binary("floor_divide")
    __mod__, __rmod__, __imod__ = _binary("remainder")
    __rpow__, __ipow__ = _binary("power")[1:]
    __and__, __rand__, __iand__ = _binary("bitwise_and")
    __or__, __ror__, __ior__ = _binary("bitwise_or")
    __xor__, __rxor__, __ixor__ = _binary("bitwise_xor")
    __lt__, __le__ = _binary("less")[0], _binary("less_equal")[0]
    __gt__, __ge__ = _binary("greater")[0], _binary("greater_equal")[0]
    __eq__, __ne__ = _binary("equal")[0], _binary("not_equal")[0]

    def __pow__(self, other):
        result = self._host ** _operand(other)  # the operator has shortcuts (x ** 0.5) that numpy.power lacks
        _record("operation", "power")
        return _adopt(result)

    def __matmul__(self, other):
        return _matmul(self, other)

    def __rmatmul__(self, other):
        return _matmul(other, self)

    def __neg__(self):
        return _UFUNCS["negative"](self)

    def __pos__(self):
        return self  # no copy: CuPy's differs from NumPy's here

    def __abs__(self):
        return _UFUNCS["absolute"](self)

    def __invert__(self):
        return _UFUNCS["invert"](self)

    def __getattr__(self, name):
        raise AttributeError(f"'cupy.ndarray' has no attribute {name!r}, or tests/strict_cupy.py lacks it")


REDUCTIONS = {
    "axis dtype out keepdims": "sum prod mean argmax argmin",
    "axis out keepdims": "max min any all",
}
# Keywords by method. A view costs nothing, unless NumPy had to copy.
METHODS = {
    "cumsum": "axis dtype out", "clip": "min max out", "dot": "b out", "repeat": "repeats axis",
    "copy": "order", "flatten": "order", "conj": "", "round": "decimals out",
}
VIEW_METHODS = {
    "astype": "dtype order casting subok copy", "reshape": "order copy", "ravel": "order", "squeeze": "axis",
    "transpose": "", "swapaxes": "axis1 axis2", "diagonal": "offset axis1 axis2", "view": "dtype",
}
for _keywords, _names in REDUCTIONS.items():
    METHODS |= dict.fromkeys(_names.split(), _keywords)
for _table, _cost in ((METHODS, 1), (VIEW_METHODS, "view")):
    for _name, _keywords in _table.items():
        setattr(ndarray, _name, _method(_name, _keywords, _cost))


# ---- Functions ----


def _call(name, function, args, kwargs, keywords, arrays, cost, source=None):
    """Call NumPy's `function` with what is behind the device arrays among its arguments."""
    _check_keywords(name, kwargs, keywords)
    if arrays == "list":
        if not isinstance(args[0], tuple | list):
            raise TypeError("Only a list or tuple of CuPy arrays is accepted")
        for item in args[0]:
            _device(item)
    else:
        for arg in args[:arrays]:
            _device(arg)
    host_args = [_argument(arg) for arg in args]
    host_kwargs = {key: _argument(value) for key, value in kwargs.items()}
    if host_kwargs.get("out", 0) is None:
        del host_kwargs["out"]
    elif "out" in kwargs:
        _device(kwargs["out"])
    if "dtype" in host_kwargs:
        _check_dtype(host_kwargs["dtype"])
    with np.errstate(all="ignore"):
        result = function(*host_args, **host_kwargs)
    if source is None and host_args and isinstance(host_args[0], np.ndarray):
        source = host_args[0]
    if cost == "view":
        cost = 0 if isinstance(result, np.ndarray) and np.may_share_memory(source, result) else 1
    for _ in range(cost):
        _record("operation", name)
    return kwargs["out"] if kwargs.get("out") is not None else _adopt_all(result)


# Keywords by function. FUNCTIONS says beside each table how many of the first arguments must be device arrays
# ("list": a list of them), and the cost in operations ("view": none, unless NumPy had to copy).
ON_ONE_ARRAY = {
    "amax": "axis out keepdims", "amin": "axis out keepdims", "cumsum": "axis dtype out",
    "count_nonzero": "axis", "clip": "a_min a_max out", "repeat": "repeats axis", "copy": "order",
    "diag": "k", "triu": "k", "tril": "k", "sort": "axis", "argsort": "axis", "roll": "shift axis",
    "zeros_like": "dtype order shape", "ones_like": "dtype order shape",
    "full_like": "fill_value dtype order shape",
}
for _keywords, _names in REDUCTIONS.items():
    ON_ONE_ARRAY |= dict.fromkeys(_names.split(), _keywords)
ON_TWO_ARRAYS = {
    "dot": "out", "outer": "out", "tensordot": "axes", "array_equal": "equal_nan",
    "allclose": "rtol atol equal_nan", "matmul": "out dtype casting",
}
ON_A_LIST = {
    "concatenate": "axis out dtype casting", "stack": "axis out dtype casting",
    "hstack": "dtype casting", "vstack": "dtype casting",
}
CREATION = {
    "zeros": "dtype order", "ones": "dtype order", "full": "fill_value dtype order", "eye": "M k dtype",
    "arange": "dtype", "linspace": "num endpoint dtype axis",
}
VIEWS = {
    "astype": "copy", "ascontiguousarray": "dtype", "reshape": "order copy", "ravel": "order",
    "broadcast_to": "", "expand_dims": "axis", "squeeze": "axis", "swapaxes": "", "moveaxis": "",
    "transpose": "axes", "flip": "axis", "real": "", "imag": "",
}
FUNCTIONS = [
    (ON_ONE_ARRAY, 1, 1), (ON_TWO_ARRAYS, 2, 1), (ON_A_LIST, "list", 1), (CREATION, 0, 1), (VIEWS, 1, "view"),
    ({"empty_like": "dtype order shape", "split": "axis"}, 1, 0), ({"empty": "dtype order"}, 0, 0),
]
LINALG = {"norm": "ord axis keepdims", "svd": "full_matrices compute_uv", "qr": "mode"}
# These look at dtypes and shapes only; their results are host values.
HOST_FUNCTIONS = """
    result_type promote_types can_cast issubdtype isscalar iscomplexobj isrealobj shape ndim size
    broadcast_shapes may_share_memory shares_memory
""".split()
HOST_VALUES = """
    newaxis pi e inf nan dtype finfo iinfo generic number integer floating inexact complexfloating bool bool_
    int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp float16 float32 float64 complex64 complex128
""".split()


def _function(name, keywords, arrays, cost, library=np):
    keywords = keywords.split()

    def function(*args, **kwargs):
        return _call(name, getattr(library, name), args, kwargs, keywords, arrays, cost)

    function.__name__ = name
    return function


def _host_function(name):
    return lambda *args: getattr(np, name)(*(_argument(arg) for arg in args))


def _check_dtype(dtype):
    if dtype is not None and np.dtype(dtype).char not in DEVICE_DTYPES:
        raise TypeError(f"Unsupported dtype {np.dtype(dtype)}")
    return dtype


def _from_host(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """``cupy.array``: the one door from the host to the device."""
    if isinstance(obj, ndarray):
        host = np.array(obj._host, dtype, copy=copy, order=order, ndmin=ndmin)
        if host is obj._host:
            return obj
        _record("operation", "array")
        return _adopt(host)
    if isinstance(obj, tuple | list) and any(isinstance(item, ndarray) for item in obj):
        _record("operation", "array")
        return _adopt(np.array([_device(item) for item in obj], dtype))
    host = np.array(obj, dtype, order=order, ndmin=ndmin)
    if host.dtype.char not in DEVICE_DTYPES:
        raise ValueError(f"Unsupported dtype {host.dtype}")
    _record("upload", "array")
    return _adopt(host)


def _asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return _from_host(a, dtype, copy, order or "K")


def _asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a, order=order)


def _get_array_module(*args):
    return cupy if any(isinstance(arg, ndarray) for arg in args) else np


_matmul = _function("matmul", ON_TWO_ARRAYS["matmul"], 2, 1)


def _einsum(subscripts, *operands, **kwargs):
    for operand in operands:
        _device(operand)
    launches = max(1, len(operands) - 1)  # CuPy contracts pair by pair
    return _call("einsum", np.einsum, (subscripts, *operands), kwargs, ["dtype", "optimize"], 0, launches)


def _where(condition, x=None, y=None):
    if x is None or y is None:
        return condition.nonzero()
    result = np.where(_device(condition), _operand(x), _operand(y))
    _record("operation", "where")
    return _adopt(result)


def _cupy_take(a, indices, axis=None, out=None):
    if isinstance(indices, np.ndarray | list | tuple):
        _record("upload", "index array")
        indices = _adopt(np.asarray(indices))
    target = None if out is None else _device(out)
    result = np.take(_device(a), _operand(indices), axis, target, mode="wrap")
    _record("operation", "take")
    return _adopt(result) if out is None else out


def _along_axis(indices, array, axis):
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    return _device(indices) % array.shape[axis]


def _take_along_axis(a, indices, axis):
    result = np.take_along_axis(_device(a), _along_axis(indices, a, axis), axis)
    _record("operation", "take_along_axis")
    return _adopt(result)


def _copyto(dst, src, casting="same_kind", where=None):
    where = {} if where is None else {"where": _operand(where)}
    np.copyto(_device(dst), _operand(src), casting=casting, **where)
    _record("operation", "copyto")


SPECIAL = {
    "ndarray": ndarray,
    "ufunc": ufunc,
    "array": _from_host,
    "asarray": _asarray,
    "asnumpy": _asnumpy,
    "get_array_module": _get_array_module,
    "einsum": _einsum,
    "where": _where,
    "nonzero": lambda a: a.nonzero(),
    "take": _cupy_take,
    "take_along_axis": _take_along_axis,
    "copyto": _copyto,
}


def _synchronize():
    _record("synchronisation", "synchronize")


class StrictCuPy(ModuleType):
    """The namespace ``cupy``."""

    __version__ = "14.2.0"

    def __init__(self):
        super().__init__("cupy", "A stand-in for CuPy.")
        self.__spec__ = ModuleSpec("cupy", None)
        for table, arrays, cost in FUNCTIONS:
            for name, keywords in table.items():
                setattr(self, name, _function(name, keywords, arrays, cost))
        for name in HOST_FUNCTIONS:
            setattr(self, name, _host_function(name))
        for name in HOST_VALUES:
            setattr(self, name, getattr(np, name))
        self.__dict__.update(_UFUNCS)
        self.__dict__.update(SPECIAL)
        self.linalg = SimpleNamespace(
            **{name: _function(name, keywords, 1, 1, np.linalg) for name, keywords in LINALG.items()}
        )
        stream = SimpleNamespace(synchronize=_synchronize)
        self.cuda = SimpleNamespace(
            is_available=lambda: True,
            runtime=SimpleNamespace(getDeviceCount=lambda: 1),
            Device=lambda device=0: stream,
            Stream=SimpleNamespace(null=stream),
            get_current_stream=lambda: stream,
        )

    def __getattr__(self, name):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}, or tests/strict_cupy.py lacks it")


cupy = StrictCuPy()


def install(monkeypatch):
    """Make ``import cupy`` and ``sys.modules["cupy"]`` the stand-in until the test ends; returns it."""
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy
