"""The gradient checks notice every planted fault, and nothing where there is none."""

import importlib
import inspect
import pkgutil
from collections import Counter

import equation_checks
import mutants
import pytest
from mutants import LEAST_ERROR, MUTANT_CHECKS, MUTANTS, Mutant, error_of, in_place, kill, mutate

import minibn.equations
from minibn.cells import FILES, bn_lstm
from minibn.equations import batch_norm, input_term
from minibn.labs.mistakes import MISTAKES


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant):
    errors = kill(mutant)
    assert errors is not None, f"survived {mutant.check}: {mutant.line}  ->  {mutant.edited}"
    assert error_of(mutant, errors) > LEAST_ERROR, f"{mutant.tensor} is not what went wrong: {errors}"


@pytest.mark.parametrize("name", sorted({mutant.check for mutant in MUTANTS}))
def test_the_same_checks_pass_without_a_mutation(name):
    MUTANT_CHECKS[name]()


def test_every_backward_function_has_three_mutants():
    """Functions that the equations gain later want rows in the table too."""
    backward = {"dsigmoid", "dtanh", "RecurrentLayer.backward", "RecurrentLayer._equations_backward",
                "RecurrentLayer._input_backward", "RecurrentLayer._recur_backward", "LayerCache.last_output_backward",
                "Stacked._backward", "Bidirectional._backward", "BidirectionalCache.last_output_backward",
                "RecurrentModel.backward", "RecurrentModel.loss_and_grads", "LanguageModel._read_backward",
                "AttentiveReader.backward"}
    for module in pkgutil.iter_modules(minibn.equations.__path__):
        members = vars(importlib.import_module(f"minibn.equations.{module.name}"))
        backward |= {name for name in members if name.endswith("_backward") and inspect.isfunction(members[name])}
    backward |= {f"{cell}.step_backward" for cell in FILES}
    counts = Counter(mutant.where for mutant in MUTANTS if not mutant.module.startswith("minibn.kernels"))
    assert {name: counts[name] for name in backward if counts[name] < 3} == {}
    asked = {row.place for row in MISTAKES}
    assert set(counts) == backward | asked


def test_no_mutant_is_there_twice():
    assert len({(mutant.where, mutant.line, mutant.edited, mutant.check) for mutant in MUTANTS}) == len(MUTANTS)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


# The machinery


EXAMPLE = Mutant("minibn.equations.batch_norm", "batch_norm_backward", "dhat = dy * gamma", "dhat = dy", "example",
                 "batch_norm, minibatch", "a")


def test_a_mutant_is_wherever_the_function_was_imported_and_goes_away():
    original = batch_norm.batch_norm_backward
    with in_place(EXAMPLE):
        assert batch_norm.batch_norm_backward is not original
        assert bn_lstm.batch_norm_backward is input_term.batch_norm_backward is batch_norm.batch_norm_backward
    assert bn_lstm.batch_norm_backward is input_term.batch_norm_backward is batch_norm.batch_norm_backward is original
    with pytest.raises(KeyError), in_place(EXAMPLE):
        raise KeyError
    assert bn_lstm.batch_norm_backward is batch_norm.batch_norm_backward is original


def test_a_line_must_be_there_once():
    with pytest.raises(LookupError, match="once in minibn.equations.batch_norm, found it 0 times"):
        mutate(EXAMPLE._replace(line="dhat = dy * beta"))


def test_a_harmless_edit_survives():
    mutant = EXAMPLE._replace(edited="dhat = gamma * dy")
    assert kill(mutant) is None


def test_an_edit_that_breaks_something_else_is_not_a_kill():
    mutant = EXAMPLE._replace(tensor="beta")
    assert error_of(mutant, kill(mutant)) == 0


def test_an_edit_that_crashes_is_not_a_kill():
    with pytest.raises(NameError):
        kill(EXAMPLE._replace(edited="dhat = nonsense"))


def test_the_table_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(mutants, "MUTANTS", [EXAMPLE, EXAMPLE._replace(edited="dhat = gamma * dy", breaks="nothing")])
    assert mutants.main() == 1
    header, killed, survived, total = capsys.readouterr().out.splitlines()
    for word in ("batch_norm_backward", "example", "batch_norm, minibatch", "e-01"):
        assert word in killed
    assert survived.endswith("SURVIVES") and total == "2 mutants, 1 killed"


def test_the_checks_hold_no_function_of_their_own():
    """A check that had imported a backward by name would go on using the original."""
    names = {mutant.function for mutant in MUTANTS if "." not in mutant.function}
    assert not names & set(vars(equation_checks))
