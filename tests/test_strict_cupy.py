"""The stand-in for CuPy: what it refuses, what it lets through, what it counts."""

import copy
import importlib
import inspect
import sys

import numpy as np
import pytest
import strict_cupy

from minibn.backend import array_module


@pytest.fixture
def cupy(monkeypatch):
    return strict_cupy.install(monkeypatch)


def host():
    return np.arange(6.0).reshape(2, 3) + 1.0


@pytest.fixture
def dev(cupy):
    return cupy.asarray(host())


# ---- NumPy and device arrays never meet ----


def _assign(target, index, value):
    target[index] = value


def _in_place(left, right):
    left += right


REFUSED_BY_CUPY_TOO = {
    "device + numpy": lambda cp, d, h: d + h,
    "numpy + device": lambda cp, d, h: h + d,
    "device - 0-d numpy": lambda cp, d, h: d - np.array(1.0),
    "numpy / device": lambda cp, d, h: h / d,
    "device ** numpy": lambda cp, d, h: d**h,
    "device > numpy": lambda cp, d, h: d > h,
    "device == numpy": lambda cp, d, h: d == h,
    "numpy == device": lambda cp, d, h: h == d,
    "device += numpy": lambda cp, d, h: _in_place(d, h),
    "numpy += device": lambda cp, d, h: _in_place(h, d),
    "numpy * device for a 0-d numpy": lambda cp, d, h: np.array(2.0) * d,
    "function of numpy": lambda cp, d, h: cp.tanh(h),
    "function of both": lambda cp, d, h: cp.maximum(d, h),
    "out= numpy": lambda cp, d, h: cp.tanh(d, out=h),
    "where, numpy branch": lambda cp, d, h: cp.where(d > 1, h, d),
    "device[slice] = numpy": lambda cp, d, h: _assign(d, slice(None, 1), h[:1]),
    "numpy[slice] = device": lambda cp, d, h: _assign(h, slice(None), d),
    "numpy.asarray(device)": lambda cp, d, h: np.asarray(d),
    "numpy.array([device, device])": lambda cp, d, h: np.array([d, d]),
    "device + list": lambda cp, d, h: d + [1.0, 2.0, 3.0],
    "concatenate": lambda cp, d, h: cp.concatenate([d, h]),
}
STRICTER_THAN_CUPY = {
    "device == None": lambda cp, d, h: d == None,  # noqa: E711
    "device @ numpy": lambda cp, d, h: d @ h.T,
    "numpy @ device": lambda cp, d, h: h @ d.T,
    "matmul": lambda cp, d, h: cp.matmul(d, h.T),
    "matmul, out= numpy": lambda cp, d, h: cp.matmul(d, d.T, out=np.empty((2, 2))),
    "sum of numpy": lambda cp, d, h: cp.sum(h),
    "sum, out= numpy": lambda cp, d, h: d.sum(axis=0, out=np.empty(3)),
    "einsum": lambda cp, d, h: cp.einsum("ij,ij->", d, h),
    "stack": lambda cp, d, h: cp.stack([d, h]),
    "stack of a device array": lambda cp, d, h: cp.stack(d),
    "reshape of numpy": lambda cp, d, h: cp.reshape(h, (3, 2)),
    "zeros_like of numpy": lambda cp, d, h: cp.zeros_like(h),
    "full with numpy": lambda cp, d, h: cp.full((2, 3), h),
    "where, numpy condition": lambda cp, d, h: cp.where(h > 1, d, d),
    "device[array] = numpy": lambda cp, d, h: _assign(d, cp.asarray([0, 1]), h),
    "device[...] = 0-d numpy": lambda cp, d, h: _assign(d, ..., np.array(1.0)),
    "device[...] = list": lambda cp, d, h: _assign(d, ..., [1.0, 2.0, 3.0]),
    "add.at values": lambda cp, d, h: cp.add.at(d, cp.asarray([0, 0]), h),
    "add.at on numpy": lambda cp, d, h: cp.add.at(h, cp.asarray([0, 0]), d),
    "copyto": lambda cp, d, h: cp.copyto(d, h),
    "fill": lambda cp, d, h: d.fill(h),
    "take from numpy": lambda cp, d, h: cp.take(h, cp.asarray([0]), axis=0),
    "take_along_axis": lambda cp, d, h: cp.take_along_axis(d, np.array([[0], [1]]), axis=1),
    "clip by numpy": lambda cp, d, h: cp.clip(d, h, h),
    "numpy.tanh(device)": lambda cp, d, h: np.tanh(d),
    "numpy.add(device, device)": lambda cp, d, h: np.add(d, d),
    "numpy.sum(device)": lambda cp, d, h: np.sum(d),
    "numpy.concatenate of devices": lambda cp, d, h: np.concatenate([d, d]),
    "numpy.where of device": lambda cp, d, h: np.where(d > 1, d, d),
}


@pytest.mark.parametrize("case", REFUSED_BY_CUPY_TOO | STRICTER_THAN_CUPY)
def test_mixing_is_refused(cupy, dev, case):
    with pytest.raises(TypeError):
        (REFUSED_BY_CUPY_TOO | STRICTER_THAN_CUPY)[case](cupy, dev, host())
    np.testing.assert_array_equal(dev.get(), host())  # and nothing was written before the refusal


def test_the_refusals_speak_as_cupy_does(cupy, dev):
    with pytest.raises(TypeError, match="Unsupported type <class 'numpy.ndarray'>"):
        dev + host()
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed. Please use"):
        np.asarray(dev)


def test_no_other_object_becomes_an_operand(cupy, dev):
    for odd in ("text", None, [1.0], np.longdouble(1), np.str_("text"), object()):
        with pytest.raises(TypeError, match="Unsupported type"):
            dev * odd


def test_array_module_refuses_the_mixture(cupy, dev):
    assert array_module(dev) is cupy
    assert array_module(dev, dev, None) is cupy
    assert array_module(host()) is np
    with pytest.raises(TypeError, match="NumPy"):
        array_module(dev, host())


# ---- What is accepted ----


def test_scalars_promote_as_in_numpy_2(cupy):
    single = cupy.ones((2, 3), dtype=np.float32)
    assert (single * 2.0).dtype == (2 * single).dtype == np.float32
    assert (single * np.float32(2)).dtype == np.float32
    assert (single * np.float64(2)).dtype == np.float64
    assert (np.float64(2) * single).dtype == np.float64
    assert isinstance(np.float64(2) * single, cupy.ndarray)
    assert (single * cupy.asarray(2.0)).dtype == np.float64  # a 0-d array is no scalar
    assert (single + 1j).dtype == np.complex64


def test_results_stay_on_the_device(cupy, dev):
    for result in (dev.sum(), dev.mean(axis=None), cupy.max(dev), dev[0, 0], dev[0, 0] + dev[1, 1],
                   cupy.array_equal(dev, dev), cupy.linalg.norm(dev), next(iter(dev[0]))):
        assert isinstance(result, cupy.ndarray)
        assert result.shape == ()
    assert isinstance(dev.sum(axis=0), cupy.ndarray)
    with pytest.raises(TypeError, match="integer"):
        range(dev.sum().astype(np.int64))


def test_views_are_views_and_in_place_works(cupy, dev):
    row = dev[1]
    same = dev
    dev += 1
    dev[0] *= 2.0
    dev[1, 2] = 0
    assert same is dev
    expected = host() + 1
    expected[0] *= 2
    expected[1, 2] = 0
    np.testing.assert_array_equal(dev.get(), expected)
    np.testing.assert_array_equal(row.get(), expected[1])
    target = cupy.empty((2, 3))
    assert cupy.tanh(dev, out=target) is target
    assert dev.sum(axis=0, out=target[0]).shape == (3,)


def test_get_is_a_copy(cupy, dev):
    fetched = dev.get()
    fetched[...] = -1
    np.testing.assert_array_equal(dev.get(), host())
    source = host()
    uploaded = cupy.asarray(source)
    source[...] = -1
    np.testing.assert_array_equal(cupy.asnumpy(uploaded), host())
    assert cupy.asarray(uploaded) is uploaded
    assert cupy.array(uploaded) is not uploaded
    duplicate = copy.deepcopy(uploaded)
    duplicate += 1
    np.testing.assert_array_equal(uploaded.get(), host())


def test_import_and_module_functions(cupy, dev):
    import cupy as imported

    assert imported is cupy is sys.modules["cupy"]
    assert importlib.util.find_spec("cupy") is not None
    assert cupy.cuda.is_available()
    assert cupy.get_array_module(dev) is cupy
    assert cupy.get_array_module(host()) is np
    assert cupy.newaxis is None
    assert cupy.result_type(dev, np.float32) == np.float64


def test_the_stand_in_leaves_with_the_test():
    assert not isinstance(sys.modules.get("cupy"), strict_cupy.StrictCuPy)


CALCULATIONS = {
    "affine": lambda xp, a, b: xp.tanh(a @ b.T + 0.5)[..., None],
    "softmax": lambda xp, a, b: xp.exp(a - a.max(axis=-1, keepdims=True)) / xp.sum(b, axis=0),
    "einsum": lambda xp, a, b: xp.einsum("ni,ni,nj->ij", a, b, a),
    "shapes": lambda xp, a, b: xp.swapaxes(xp.stack([a, b], axis=1), 0, 2).reshape(3, -1).T,
    "gather": lambda xp, a, b: xp.take_along_axis(a, xp.argmax(b, axis=1)[:, None], axis=1),
    "norm": lambda xp, a, b: xp.linalg.norm(a) * xp.sqrt((b**2).mean()),
    "logic": lambda xp, a, b: xp.where((a > b) | ~(a < 3), xp.maximum(a, 0.0), -b).astype(np.float32),
    "broadcast": lambda xp, a, b: xp.broadcast_to(a[:1], (2, 3)) + xp.expand_dims(b[0], 0) - xp.arange(3),
    "division by zero": lambda xp, a, b: (b - b) / a + xp.log(b * 0),
}


@pytest.mark.parametrize("case", CALCULATIONS)
def test_values_are_numpys_bit_for_bit(cupy, case):
    # A GPU raises no floating-point warnings; NumPy's are silenced here too.
    a, b = host(), np.linspace(-1.0, 1.0, 6).reshape(2, 3)
    with np.errstate(all="ignore"):
        expected = CALCULATIONS[case](np, a, b)
    result = CALCULATIONS[case](cupy, cupy.asarray(a), cupy.asarray(b))
    assert result.dtype == expected.dtype
    assert result.get().tobytes() == expected.tobytes()


# ---- Indexing ----


def test_integer_index_arrays_wrap_around(cupy, dev):
    columns = cupy.asarray([3, -1, -4, 0])
    expected = host()[:, [0, 2, 2, 0]]
    np.testing.assert_array_equal(dev[:, columns].get(), expected)
    np.testing.assert_array_equal(dev[..., columns].get(), expected)
    np.testing.assert_array_equal(cupy.take(dev, columns, axis=1).get(), expected)
    np.testing.assert_array_equal(dev[None, :, columns][0].get(), expected)
    several = dev[cupy.asarray([2, 3]), cupy.asarray([4, 5])]
    np.testing.assert_array_equal(several.get(), host()[[0, 1], [1, 2]])
    picked = cupy.take_along_axis(dev, cupy.asarray([[3], [4]]), axis=1)
    np.testing.assert_array_equal(picked.get(), [[1.0], [5.0]])
    dev[cupy.asarray([3])] = 0.0
    np.testing.assert_array_equal(dev[1].get(), np.zeros(3))


def test_integers_out_of_range_do_not_wrap(dev):
    with pytest.raises(IndexError):
        dev[2]


def test_float_index_arrays_are_refused(cupy, dev):
    with pytest.raises(IndexError, match="integer or boolean"):
        dev[cupy.asarray([0.0])]


def test_numpy_index_arrays_are_uploaded(cupy, dev):
    with strict_cupy.counting(cupy) as counts:
        picked = dev[np.array([1, 0])]
        dev[[0]] = 7.0
    np.testing.assert_array_equal(picked.get(), host()[::-1])
    assert counts.uploads == 2
    assert counts.synchronisations == 0


def test_assignment_through_duplicate_indices_is_refused(cupy, dev):
    twice = cupy.asarray([0, 2])  # 2 wraps to 0
    with pytest.raises(ValueError, match="undefined on CuPy"):
        dev[twice] = cupy.ones((2, 3))
    dev[twice] = 5.0  # one value: no doubt about what is stored
    np.testing.assert_array_equal(dev[0].get(), np.full(3, 5.0))


def test_add_at_adds_every_duplicate(cupy):
    total, indices, ones = cupy.zeros((3, 2)), cupy.asarray([0, 2, 0, 5]), cupy.ones((4, 2))
    with strict_cupy.counting(cupy) as counts:
        cupy.add.at(total, indices, ones)
    np.testing.assert_array_equal(total.get(), [[2, 2], [0, 0], [2, 2]])
    assert (counts.operations, counts.synchronisations) == (1, 0)


@pytest.mark.parametrize("dtype", [np.int64, np.complex128, np.bool_])
def test_add_at_has_no_atomics_for_these(cupy, dtype):
    total = cupy.zeros((3,), dtype=dtype)
    with pytest.raises(TypeError, match="scatter_add only supports"):
        cupy.add.at(total, cupy.asarray([0, 1]), total[:2])


# ---- What CuPy does not have ----


@pytest.mark.parametrize("name", ["errstate", "vecdot", "einsum_path", "unstack", "isnat"])
def test_unknown_functions_do_not_exist(cupy, name):
    with pytest.raises(AttributeError, match=name):
        getattr(cupy, name)


@pytest.mark.parametrize("name", ["ctypes", "setflags", "newbyteorder", "__index__", "__array_interface__"])
def test_unknown_attributes_do_not_exist(dev, name):
    with pytest.raises(AttributeError, match=name):
        getattr(dev, name)


def test_flags_have_no_writeable(dev):
    assert dev.flags.c_contiguous
    with pytest.raises(AttributeError):
        dev.flags.writeable  # noqa: B018


UNKNOWN_KEYWORDS = {
    "ufunc where=": lambda cp, d: cp.add(d, d, where=d > 1),
    "sum where=": lambda cp, d: cp.sum(d, where=d > 1),
    "method where=": lambda cp, d: d.mean(where=d > 1),
    "max initial=": lambda cp, d: d.max(initial=0.0),
    "method initial=": lambda cp, d: cp.max(d, initial=0.0),
    "einsum out=": lambda cp, d: cp.einsum("ij->", d, out=d),
}


@pytest.mark.parametrize("case", UNKNOWN_KEYWORDS)
def test_unknown_keywords_are_refused(cupy, dev, case):
    with pytest.raises(TypeError, match="Wrong arguments"):
        UNKNOWN_KEYWORDS[case](cupy, dev)


def test_only_sum_and_product_are_ufunc_reductions(cupy, dev):
    np.testing.assert_array_equal(cupy.add.reduce(dev, axis=1).get(), host().sum(axis=1))
    with pytest.raises(NotImplementedError, match="maximum.reduce"):
        cupy.maximum.reduce(dev)
    with pytest.raises(NotImplementedError, match="multiply.at"):
        cupy.multiply.at(dev, 0, 2.0)


def test_unsupported_dtypes(cupy):
    with pytest.raises(ValueError, match="Unsupported dtype"):
        cupy.asarray(np.array(["text"]))
    with pytest.raises(TypeError, match="Unsupported dtype"):
        cupy.zeros(3, dtype=object)


# ---- Counting ----

WAITING = {
    "float": lambda d: float(d[0, 0]),
    "int": lambda d: int(d[0, 0]),
    "complex": lambda d: complex(d[0, 0]),
    "bool": lambda d: bool(d[0, 0] > 0),
    "if": lambda d: 1 if d[0, 0] > 0 else 2,
    "builtin max": lambda d: max(d[0, 0], d[0, 1]),
    "get": lambda d: d.get(),
    "item": lambda d: d[0, 0].item(),
    "tolist": lambda d: d.tolist(),
    "print": lambda d: f"{d[0, 0]:.3f}",
    "str": lambda d: str(d),
    "repr": lambda d: repr(d),
    "mask": lambda d: d[d > 2],
    "nonzero": lambda d: d.nonzero(),
    "mask assignment": lambda d: _assign(d, d > 2, 0.0),
    "in": lambda d: 1.0 in d[0],
}


@pytest.mark.parametrize("case", WAITING)
def test_what_makes_the_host_wait_is_counted(cupy, dev, case):
    with strict_cupy.counting(cupy) as counts:
        WAITING[case](dev)
    assert counts.synchronisations == 1
    assert "test_strict_cupy.py:" in counts.places()[0]


def test_one_argument_where_waits(cupy, dev):
    with strict_cupy.counting(cupy) as counts:
        cupy.where(dev > 2)
    assert counts.synchronisations == 1


COSTS = {
    "two ufuncs": (2, lambda cp, d: cp.tanh(d) + 1),
    "in place": (1, lambda cp, d: _in_place(d, 1.0)),
    "matmul": (1, lambda cp, d: d @ d.T),
    "einsum": (1, lambda cp, d: cp.einsum("ij,kj->ik", d, d)),
    "einsum of three": (2, lambda cp, d: cp.einsum("ij,ij,ij->i", d, d, d)),
    "reduction": (1, lambda cp, d: d.sum(axis=0)),
    "stack": (1, lambda cp, d: cp.stack([d, d, d])),
    "zeros": (1, lambda cp, d: cp.zeros((2, 3))),
    "empty": (0, lambda cp, d: cp.empty((2, 3))),
    "assignment": (1, lambda cp, d: _assign(d, 0, 1.0)),
    "gather": (1, lambda cp, d: d[:, cp.asarray([0])]),
    "views": (0, lambda cp, d: (d[0], d[:, None], d.T, d.reshape(3, 2), cp.broadcast_to(d, (4, 2, 3)),
                                cp.swapaxes(d, 0, 1), cp.expand_dims(d, 0), d.real, d.shape, len(d))),
    "reshape that copies": (1, lambda cp, d: d.T.reshape(6)),
    "astype": (1, lambda cp, d: d.astype(np.float32)),
    "astype, nothing to do": (0, lambda cp, d: d.astype(np.float64, copy=False)),
}


@pytest.mark.parametrize("case", COSTS)
def test_operations_are_counted(cupy, dev, case):
    expected, calculation = COSTS[case]
    with strict_cupy.counting(cupy) as counts:
        calculation(cupy, dev)
    assert counts.operations == expected, counts.names()
    assert counts.synchronisations == 0, counts.places()


def test_counting_can_be_nested_and_stops(cupy, dev):
    with strict_cupy.counting(cupy) as outer:
        dev + 1
        with strict_cupy.counting(cupy) as inner:
            cupy.exp(dev)
            float(dev[0, 0])
        cupy.asarray(host())
    dev + 1
    assert (inner.operations, inner.synchronisations, inner.uploads) == (1, 1, 0)
    assert (outer.operations, outer.synchronisations, outer.uploads) == (2, 1, 1)
    assert outer.names() == {"add": 1, "exp": 1}


# ---- The lists, and the refusals, against a real CuPy ----


@pytest.mark.gpu
def test_every_name_of_the_stand_in_is_cupys():
    import cupy as real

    tables = [(table, real) for table, _, _ in strict_cupy.FUNCTIONS] + [(strict_cupy.LINALG, real.linalg)]
    for table, library in tables:
        for name, keywords in table.items():
            if callable(getattr(library, name)) and name != "matmul":
                known = inspect.signature(getattr(library, name)).parameters
                assert set(keywords.split()) <= set(known), name
    for name in [*strict_cupy.HOST_FUNCTIONS, *strict_cupy.HOST_VALUES, *strict_cupy.SPECIAL]:
        assert hasattr(real, name), name
    for name in strict_cupy.UFUNCS:
        assert isinstance(getattr(real, name), real.ufunc), name
    for name in [*strict_cupy.METHODS, *strict_cupy.VIEW_METHODS, *vars(strict_cupy.ndarray)]:
        assert hasattr(real.ndarray, name) or name in ("_host", "__getattr__"), name


@pytest.mark.gpu
@pytest.mark.parametrize("case", REFUSED_BY_CUPY_TOO)
def test_cupy_refuses_it_too(case):
    import cupy as real

    # For `device[slice] = numpy` CuPy raises a ValueError, for the rest a TypeError.
    with pytest.raises((TypeError, ValueError)):
        REFUSED_BY_CUPY_TOO[case](real, real.asarray(host()), host())


@pytest.mark.gpu
@pytest.mark.parametrize("case", CALCULATIONS)
def test_cupy_calculates_the_same(case):
    import cupy as real

    a, b = host(), np.linspace(-1.0, 1.0, 6).reshape(2, 3)
    with np.errstate(all="ignore"):
        expected = CALCULATIONS[case](np, a, b)
    result = CALCULATIONS[case](real, real.asarray(a), real.asarray(b))
    assert result.dtype == expected.dtype
    # Other kernels round differently: a few units in the last place of float32, the coarsest dtype here.
    np.testing.assert_allclose(result.get(), expected, rtol=1e-6)
