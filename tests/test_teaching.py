"""The source that notebooks show is the library's own."""

import ast
import inspect
import math
import re
import sys
from html import unescape

import numpy as np
import pytest

from minibn.cells import bn_lstm, lstm, rnn
from minibn.equations import batch_norm, recurrence
from minibn.equations.activations import dsigmoid, dtanh
from minibn.equations.quantities import Record
from minibn.gradcheck.numeric import Probe
from minibn.teaching import WIDTH, check_answer, show_source

SHOWN = [rnn.step_forward, rnn.step_backward, batch_norm.batch_norm_forward, batch_norm.batch_norm_backward,
         lstm.step_backward, bn_lstm.step_forward, Record]


def code_of(text):
    """The code without docstrings and layout."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            del node.body[0]
    return ast.unparse(tree)


@pytest.mark.parametrize("function", SHOWN, ids=lambda function: function.__name__)
def test_every_line_is_the_library_s_own_and_no_code_is_missing(function):
    shown, source = str(show_source(function)), inspect.getsource(function)
    # A comment may stand closer to its code, or above it; nothing else is touched.
    assert {line.partition("  # ")[0].rstrip() for line in shown.splitlines()[1:] if line.strip()[:1] != "#"} <= {
        line.partition("  # ")[0].rstrip() for line in source.splitlines()}
    assert all(comment.strip() in shown for _, _, comment in (line.partition("  # ") for line in source.splitlines()))
    assert code_of(shown) == code_of(source)
    assert '"""' not in shown and '"""' in source


def test_the_docstring_can_be_shown_too():
    source = inspect.getsource(rnn.step_forward).rstrip()
    assert str(show_source(rnn.step_forward, docstring=True)) == f"# minibn/cells/rnn.py\n{source}"


def test_a_comment_that_would_not_fit_moves_up_to_its_code_or_above_it():
    shown = str(show_source(bn_lstm.step_forward, bn_lstm.step_backward, recurrence.unroll_backward))
    assert "    dc = dc + dc_bn.a  # (N, H)    step t+1 along the cell, and h_t\n" in shown
    above = "        # later steps + this step's own loss terms\n        dstate = (dstate[0] + dh[t], *dstate[1:])\n"
    assert above in shown
    assert not [line for line in shown.splitlines() if len(line) > WIDTH and "#" in line]
    comment = "            # The outputs are subtracted before they are summed: less is lost to rounding."
    assert len(comment) > WIDTH and comment.removeprefix("    ") in str(show_source(Probe._slope)).splitlines()


def test_functions_of_one_file_share_a_heading():
    source = show_source(dsigmoid, dtanh, rnn.step_backward)
    assert [file for file, _ in source.parts] == ["minibn/equations/activations.py", "minibn/cells/rnn.py"]
    assert source._repr_html_().count("<pre ") == 2


@pytest.mark.parametrize("coloured", [True, False])
def test_no_line_breaks_in_jupyter(monkeypatch, coloured):
    if coloured:
        pytest.importorskip("pygments")
    else:
        monkeypatch.setitem(sys.modules, "pygments", None)
    html = show_source(bn_lstm.step_forward)._repr_html_()
    assert "white-space:pre;overflow-x:auto" in html and "font-family:monospace" in html
    text = unescape(re.sub("<[^>]+>", "", html))
    plain = str(show_source(bn_lstm.step_forward)).split(".py\n")[1]
    assert text.strip().removeprefix("minibn/cells/bn_lstm.py") == plain


@pytest.mark.parametrize("answer, expected, said", [
    (..., None, "Not answered yet"), (2.0, lambda: 2.0, "Right"), (2.0 + 1e-12, 2.0, "Right"),
    (3, 2, "Not yet: 3 is not"),
    (-2.0, 2.0, "the sign is the other"), (np.ones(3), np.ones((3, 1)), r"expected the shape \(3, 1\), got \(3,\)"),
    (np.array([1.0, 2.0]), np.array([1.0, 3.0]), "1 of 2 numbers differ"), ("f", "f", "Right"),
    ("f", "i", "'f' is not it"),
    (True, False, "True is not it"), ({"a", "b"}, {"a", "c"}, "1 of your entries is wrong and 1 is missing"),
    (["a"], {"a"}, "Right"), ("x", 2.0, "expected numbers, got 'x'"), (np.nan, 1.0, "nan is not it"),
    ([np.nan, 1.0], [1.0, 1.0], "1 of 2"), (0.0, 0.0, "Right"),
])
def test_an_answer_is_checked_and_not_told(capsys, answer, expected, said):
    right = check_answer(answer, expected)
    out = capsys.readouterr().out
    assert re.search(said, out) and out.count("\n") == 1
    assert right is (None if answer is ... else "Right" in out)


@pytest.mark.parametrize("wrong", [math.tanh, 3.0])
def test_what_has_no_python_source_is_refused(wrong):
    with pytest.raises(TypeError, match="written in Python"):
        show_source(wrong)


def test_nothing_to_show_is_refused():
    with pytest.raises(TypeError, match="at least one function"):
        show_source()
