"""The source that notebooks show is the library's own."""

import ast
import inspect
import math

import pytest

from minibn.cells import bn_lstm, lstm, rnn
from minibn.equations import batch_norm, recurrence
from minibn.equations.activations import dsigmoid, dtanh
from minibn.equations.quantities import Record
from minibn.gradcheck.numeric import Probe
from minibn.teaching import WIDTH, show_source

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
    assert source._repr_markdown_().count("```python") == 2


@pytest.mark.parametrize("wrong", [math.tanh, 3.0])
def test_what_has_no_python_source_is_refused(wrong):
    with pytest.raises(TypeError, match="written in Python"):
        show_source(wrong)


def test_nothing_to_show_is_refused():
    with pytest.raises(TypeError, match="at least one function"):
        show_source()
