"""A cell in a user's file is trained, saved, evaluated and resumed like ours, and executed only where it is named."""

import copy
import json
import math
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import gru
import numpy as np
import pytest
import tiny_run
import zoneout

import minibn
from minibn.cells import user
from minibn.cli import main
from minibn.training import (
    evaluate_run,
    evaluate_whole_text,
    load,
    loop,
    make_config,
    read_config,
    resumed_config,
    sample_text,
    without_clock,
)
from minibn.training.checkpoints import read_checkpoint
from minibn.training.metrics import read_metrics

SETTINGS = {"task": "ptb", "length": 8, **tiny_run.SMALL}
ODD = '''
from dataclasses import replace
from pathlib import Path
import numpy as np
from minibn.cells import Option
from minibn.errors import check_integer
Path("executed").touch()
WIDE = Option(3, "an option of its own", check=lambda name, value, dtype: check_integer(name, value, 1), size="S")
GRU_ODD = replace(GRU, name="gru_odd", options={"init": options.INIT, "odd": WIDE},
                  parameters={**GRU.parameters, "W_h": Parameter("H 2H", options.recurrent),
                              "b": Parameter("3H", lambda rng, shape, given: np.full(shape, given["odd"]))})
'''


@pytest.fixture(autouse=True)
def small_data():
    with tiny_run.tiny_data():
        yield


@pytest.fixture
def my_cell(tmp_path, monkeypatch):
    """``my_cell.py:GRU`` in the working folder; it leaves a mark where it is executed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_cell.py").write_text(Path(gru.__file__).read_text() + ODD)
    yield "my_cell.py:GRU"
    forget()


def forget():
    """What a new process does not know."""
    user.KNOWN.clear()
    for name in [name for name in sys.modules if name.startswith("minibn_cell_")]:
        del sys.modules[name]
    Path("executed").unlink(missing_ok=True)


def executed():
    return Path("executed").exists()


def trained(model, folder="run", **options):
    config = make_config("quick", model=model, **{**SETTINGS, **options})
    tiny_run.run(folder, config)
    return config


def test_a_run_says_which_file_and_its_settings_can_be_read_without_it(my_cell):
    config = trained(my_cell)
    assert (config.model, config.engine, config.init) == ("gru", "equations", "auto")
    said = json.loads(Path("run/config.json").read_text())["config"]
    assert said["cell"] == {"path": "my_cell.py", "name": "GRU", "sha256": config.cell.sha256}
    forget()
    assert read_config("run")[0] == config and not executed()


def test_nothing_is_executed_where_the_file_is_not_named_again(my_cell):
    trained(my_cell)
    forget()
    for use in (load, evaluate_run, evaluate_whole_text, sample_text, resumed_config):
        with pytest.raises(ValueError, match=r"cell: this run is of 'my_cell.py:GRU', SHA-256 \w{64}.*name it again"):
            use("run")
    assert not executed()


def test_the_file_named_again_is_executed_if_it_is_the_same(my_cell):
    trained(my_cell)
    expected = evaluate_run("run")
    forget()
    assert evaluate_run("run", cell=my_cell) == expected and executed()
    forget()
    shutil.move("my_cell.py", "moved.py")
    assert sample_text("run", "Call", 5, cell="moved.py:GRU").startswith("Call") and executed()
    forget()
    Path("moved.py").write_text(Path("moved.py").read_text() + "\n# other\n")
    for use in (lambda: load("run", cell="moved.py:GRU"), lambda: resumed_config("run", model="moved.py:GRU")):
        with pytest.raises(ValueError, match="cell: expected GRU of a file with SHA-256 .* as my_cell.py was, got"):
            use()
    assert not executed()


def test_nothing_inside_a_run_folder_is_executed(my_cell):
    trained(my_cell)
    forget()
    shutil.copy("my_cell.py", "run/my_cell.py")
    with pytest.raises(ValueError, match="lies in the folder of the run, where nothing is executed; copy it elsewhere"):
        load("run", cell="run/my_cell.py:GRU")
    assert not executed()


def test_a_run_of_ours_needs_no_file(my_cell):
    trained("lstm")
    assert load("run", cell="lstm").model.cell.declaration is minibn.cells.CELLS["lstm"]
    for use in (lambda: load("run", cell=my_cell), lambda: resumed_config("run", model=my_cell)):
        with pytest.raises(ValueError, match="model: expected the run's 'lstm', got 'my_cell.py:GRU'; leave it out"):
            use()
    assert not executed()


def test_an_imported_declaration_is_as_good_as_its_file():
    config = make_config("quick", model=gru.GRU, **SETTINGS)
    assert config.cell.name == "GRU" and config.declaration is gru.GRU
    assert config == make_config("quick", model=f"{gru.__file__}:GRU", **SETTINGS)
    assert make_config("quick", model=minibn.cells.CELLS["lstm"]).model == "lstm"
    forget()
    with pytest.raises(ValueError, match="cell: this run is of"):
        config.build_model(tiny_run.few_lines(config).recorded)
    user.open_cell(gru.GRU, config.cell)
    assert config.build_model(tiny_run.few_lines(config).recorded).cell.declaration is gru.GRU
    forget()
    with pytest.raises(ValueError, match="cell: expected a declaration in a file, got <cell mine> made in"):
        make_config(model=replace(gru.GRU, name="mine"))


def test_resuming_is_bit_for_bit(my_cell, tmp_path):
    config = trained(my_cell, "whole")
    with tiny_run.stop_at(10), pytest.raises(RuntimeError):
        tiny_run.run("run", config)
    forget()
    assert resumed_config("run", model=my_cell, task="ptb") == config
    tiny_run.run("run", config, resume=True)
    ours, whole = (tiny_run.comparable(tmp_path / folder / "last.npz") for folder in ("run", "whole"))
    assert ours.keys() == whole.keys()
    for key in whole:
        np.testing.assert_array_equal(ours[key], whole[key])
    assert without_clock(read_metrics("run/metrics.jsonl")) == without_clock(read_metrics("whole/metrics.jsonl"))


def test_the_commands(my_cell, capsys):
    options = ["--hidden", "3", "--batch", "4", "--iterations", "4", "--validate-every", "2", "--length", "8",
               "--population-batch", "8", "--progress", "none"]
    assert main(["train", "stdlib", "--model", my_cell, *options]) == 0
    iterate = loop._Training.iterate

    def interrupting(training):
        iterate(training)
        raise KeyboardInterrupt

    forget()
    with mock.patch.object(loop._Training, "iterate", interrupting):
        assert main(["train", "stdlib", "--model", my_cell, "--resume", "--iterations", "6"]) == 130
    again = "continue with: minibn train stdlib --model my_cell.py:GRU --run runs/stdlib-gru-quick --resume"
    assert again in capsys.readouterr().err
    for name, *options_of in (["evaluate"], ["evaluate", "--whole"], ["sample", "--prompt", "Call"]):
        command = [name, "runs/stdlib-gru-quick", *options_of]
        forget()
        assert main(command) == 2 and not executed()
        assert capsys.readouterr().err.startswith("minibn: error: cell: this run is of")
        assert main([*command, "--model", my_cell]) == 0 and executed()
        capsys.readouterr()
    assert read_checkpoint("runs/stdlib-gru-quick/last.npz")["progress/iteration"] == 4
    assert main(["train", "stdlib", "--model", "my_cell.py:GRU_ODD", "--cell-option", "odd=5", *options]) == 0
    model = load("runs/stdlib-gru_odd-quick").model
    assert model.cell.odd == 5 and read_config("runs/stdlib-gru_odd-quick")[0].cell_option == {"odd": 5}


def test_what_a_cell_takes_at_each_step_is_drawn_from_the_seed(tmp_path):
    """In training and for the population; in evaluation it is the expectation."""
    zoned = {"model": f"{zoneout.__file__}:CELL", "iterations": 3}
    drawn = []
    draw = minibn.RecurrentLayer.draw_data

    def watched(layer, *arguments):
        drawn.append(draw(layer, *arguments))
        return drawn[-1]

    with mock.patch.object(minibn.RecurrentLayer, "draw_data", watched):
        trained(folder=tmp_path / "first", **zoned)
    assert len(drawn) == 3 and not np.array_equal(drawn[0]["zone_h"], drawn[1]["zone_h"])
    trained(folder=tmp_path / "again", **zoned)
    trained(folder=tmp_path / "other", seed=9, **zoned)
    first, again, other = (read_metrics(tmp_path / run / "metrics.jsonl")[0]["loss"]
                           for run in ("first", "again", "other"))
    assert first == again != other


@pytest.mark.parametrize(("options", "message"), [
    ({"engine": "kernels"}, "engine: model 'gru' has no kernel, got 'kernels'; leave it out"),
    ({"gamma": 0.3}, "gamma: model 'gru' has no such option, nor any other; got 0.3, leave it out"),
    ({"init": "identity_g", "model": "my_cell.py:GRU_ODD"}, "init: model 'gru_odd' takes orthogonal, ident"),
    ({"cell_option": {"odd": 2}}, "odd: model 'gru' has no such option, nor any other; got 2"),
    ({"cell_option": {"init": "identity"}}, "cell_option: init is an option of minibn's cells too"),
    ({"cell_option": {"odd": 0}, "model": "my_cell.py:GRU_ODD"}, "odd: expected at least 1, got 0"),
    ({"cell_option": {"odd": math.nan}, "model": "my_cell.py:GRU_ODD"}, "cell_option: expected finite numbers, texts"),
    ({"cell_option": 3}, "cell_option: expected dict, got 3"),
    ({"model": "my_cell.py"}, "model: expected a file and the name of the declaration in it, such as my_cell.py:GRU"),
    ({"model": "your_cell.py:GRU"}, "cell: cannot read 'your_cell.py' .No such file"),
    ({"model": "my_cell.py:GRUU"}, "cell: expected GRUU = Cell.* in my_cell.py, got None; correct the name"),
])  # fmt: skip
def test_refused_settings(my_cell, options, message):
    with pytest.raises(ValueError, match=message):
        make_config("quick", **{"model": my_cell, **SETTINGS, **options})


@pytest.mark.parametrize(("old", "new", "message"), [
    ("    dg = dh * (1 - z)", "    dg = dh[0] * (1 - z[0])", "cell gru: .*correct the file my_cell.py$"),
    ('name="gru", title', 'name="lstm", title', "a word that is no cell of minibn's, got name='lstm'; choose another"),
    ('name="gru", title', 'name="../x", title', "a word that is no cell of minibn's, got name='../x'; choose another"),
    ('"W_g": Parameter("H H", options.orth', '"W_g": Parameter("H H", lambda rng, shape, given: np.eye(9)), "W_x": '
     'Parameter("D 3H", options.orth', r"first value of W_g of shape \(9, 9\) for \(H H\)"),
    ('name="gru", title', 'name="gru", kernel="rnn", title', "without a kernel, got kernel='rnn', which computes"),
    ("GRU = Cell(", "1 / 0\nGRU = Cell(", "cell: my_cell.py cannot be executed .ZeroDivisionError: division by zero.;"),
])  # fmt: skip
def test_a_file_that_is_wrong_is_one_line(my_cell, old, new, message):
    source = Path("my_cell.py").read_text()
    assert old in source
    Path("my_cell.py").write_text(source.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as caught:
        make_config("quick", model=my_cell, **SETTINGS)
    assert "\n" not in str(caught.value)


def test_the_name_of_a_run_is_known_without_executing_the_file(my_cell):
    assert user.declared_name(my_cell) == "gru" and user.declared_name("lstm") == "lstm"
    assert user.declared_name("my_cell.py:GRU_ODD") == "gru_odd"
    with pytest.raises(ValueError, match=r'expected a line split = Cell\(name="...", ...\) in my_cell.py, got none'):
        user.declared_name("my_cell.py:split")
    Path("broken.py").write_text("GRU = (")
    with pytest.raises(ValueError, match=r"cell: broken.py is not Python .*; correct it"):
        user.declared_name("broken.py:GRU")
    assert not executed()


def test_a_declaration_is_copied_and_unpickled_here_and_elsewhere(my_cell):
    declaration = make_config("quick", model=my_cell, **SETTINGS).declaration
    layer = minibn.RecurrentLayer(declaration, 2, 3)
    assert copy.deepcopy(layer).declaration is pickle.loads(pickle.dumps(layer)).declaration is declaration
    Path("layer.pkl").write_bytes(pickle.dumps(layer))
    code = "import pickle, pathlib\nlayer = pickle.loads(pathlib.Path('layer.pkl').read_bytes())\nprint(layer)"
    elsewhere = [sys.executable, "-c", code]
    done = subprocess.run(elsewhere, capture_output=True, text=True, check=True)
    assert done.stdout == f"{layer}\n"
    with open("my_cell.py", "a") as file:
        file.write("# other\n")
    done = subprocess.run(elsewhere, capture_output=True, text=True)
    assert done.returncode and "my_cell.py has changed since" in done.stderr
