"""The command line: its options, its exit codes, one line per mistake. The work behind it has its own tests."""

import inspect
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from unittest import mock

import numpy as np
import pytest
import tiny_run

import minibn
from minibn.cli import main
from minibn.training import loop, read_metrics
from minibn.training.checkpoints import read_checkpoint
from minibn.training.images import ImageConfig
from minibn.training.tasks import TASKS

TINY = ["--hidden", "3", "--batch", "20", "--iterations", "4", "--validate-every", "2", "--log-every", "2"]
COMMANDS = ["demo", "train", "evaluate", "sample", "reproduce", "gradcheck", "bench", "data"]


@pytest.fixture
def small_data(monkeypatch):
    """Every command sees the few images of tiny_run."""
    monkeypatch.setattr(ImageConfig, "load_data", tiny_run.few_images)


def failure(capsys, *arguments):
    """Run a command that fails: exit code 2 and one line on stderr; the line."""
    capsys.readouterr()
    try:
        code = main(list(arguments))
    except SystemExit as stopped:  # argparse
        code = stopped.code
    captured = capsys.readouterr()
    assert code == 2, captured
    assert captured.out == ""
    assert captured.err.startswith("minibn: error: ") and captured.err.count("\n") == 1, captured.err
    return captured.err


# ------------------------------------------------------------------ help


def help_of(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--help"])
    assert stopped.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0 and capsys.readouterr().out == f"minibn {minibn.__version__}\n"


def test_help_names_every_command(capsys):
    text = help_of(capsys)
    for command in COMMANDS:
        assert command in text
        assert "usage: minibn " + command in help_of(capsys, command)


def test_help_of_train_shows_every_option_with_its_default(capsys):
    for name, task in TASKS.items():
        assert f"{name} {task.help}" in help_of(capsys, "train")
        text = help_of(capsys, "train", name)
        for f in fields(task.config):
            if f.name in ("task", "cell"):
                continue
            assert f"--{f.name.replace('_', '-')} " in text, f.name
            paper, quick = (task.presets[preset].get(f.name, f.default) for preset in ("paper", "quick"))
            both = paper if paper == quick else f"paper: {paper}, quick: {quick}"
            assert f"(default: {'quick' if f.name == 'preset' else both})" in text, f.name
        for option in ("--run", "--resume", "--progress"):
            assert option in text
        assert text.count("(default: ") == len(fields(task.config)) - 2 + 3


def test_defaults_of_the_command_line_are_those_of_the_functions():
    from minibn.cli import _parser
    from minibn.studies import reproduce
    from minibn.studies.demo import run_demo
    from minibn.training import evaluate_run

    for arguments, function in (
        (["demo"], run_demo), (["reproduce", "figure1a"], reproduce), (["evaluate", "x"], evaluate_run),
    ):  # fmt: skip
        given = vars(_parser(arguments).parse_args(arguments))
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.default is not inspect.Parameter.empty:
                assert given[name] == parameter.default, (arguments, name)


@pytest.mark.parametrize("command", ["train", "reproduce"])
def test_help_loads_neither_plots_nor_progress_nor_downloads(command):
    """Only names are looked at: a clock would make this test fail on a busy machine."""
    code = (
        "import sys\nfrom minibn.cli import main\n"
        f"try: main(['{command}', '--help'])\nexcept SystemExit: pass\n"
        "names = {'matplotlib', 'tqdm', 'pooch', 'filelock', 'cupy', 'concurrent'}\n"
        "print(sorted(names & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("first", ["import minibn",
                                   "from minibn.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"])
def test_what_is_not_needed_is_not_imported(first):
    late = "import sys\nprint({'minibn.data', 'minibn.training'} & set(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{first}\n{late}"], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"


def test_what_is_imported_late_is_there():
    code = (f"import minibn\nfrom minibn import {', '.join(minibn.__all__)}\n"
            "minibn.data.load_stdlib, minibn.training.train")
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        minibn.trian()


def test_python_m_minibn_is_the_command():
    done = subprocess.run([sys.executable, "-m", "minibn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"minibn {minibn.__version__}\n"


# ------------------------------------------------------------------ train and evaluate


def test_train_resume_evaluate(small_data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "mnist", "--model", "bnrnn", *TINY]) == 0
    captured = capsys.readouterr()
    folder = tmp_path / "runs" / "mnist-bnrnn-quick"
    final = read_metrics(folder / "metrics.jsonl")[-1]
    assert captured.out.startswith("runs/mnist-bnrnn-quick: held-out images: loss ".replace("/", os.sep))
    assert f"{final['test_accuracy']:.4f}, with population statistics" in captured.out
    assert captured.err.count("validation loss") == 2
    config = json.loads((folder / "config.json").read_text())["config"]
    assert config["hidden"] == 3 and config["data"] == "subset" and config["noise"] == 0.1

    message = failure(capsys, "train", "mnist", "--model", "bnrnn")
    assert "there is a run here already; continue it with --resume" in message

    options = ["train", "mnist", "--run", str(folder), "--resume"]
    assert main([*options, "--iterations", "6", "--progress", "none"]) == 0
    assert read_checkpoint(folder / "last.npz")["progress/iteration"] == 6
    assert capsys.readouterr().err == ""
    message = failure(capsys, *options, "--hidden", "4")
    assert "hidden: expected the run's 3 with --resume, got 4" in message
    assert "iterations: expected at least the run's 6" in failure(capsys, *options, "--iterations", "5")
    assert "preset: expected the run's 'quick' with --resume, got 'paper'" in failure(
        capsys, *options, "--preset", "paper"
    )

    assert main(["evaluate", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("validation set: loss ") and lines[1].startswith("held-out images: loss ")
    assert lines[0].endswith("of 13 right), population statistics")
    assert main(["evaluate", str(folder), "--statistics", "averaged", "--batch-size", "5"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("of 11 right), averaged statistics")


def test_a_model_without_batch_normalization_mentions_no_statistics(small_data, tmp_path, capsys):
    assert main(["train", "pmnist", "--model", "rnn", "--run", str(tmp_path / "run"), *TINY]) == 0
    assert "without batch normalization" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert "statistics" not in capsys.readouterr().out


def test_preset_and_options(small_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--preset", "paper", "--data", "subset", "--side", "14", "--no-cell-offset", "--noise", "0.5", *TINY]
    assert main(["train", "mnist", *options]) == 0
    config = json.loads((tmp_path / "runs" / "mnist-bnlstm-paper" / "config.json").read_text())["config"]
    assert config["noise"] == 0.5 and config["checkpoint_every"] == 100 and config["model"] == "bnlstm"


def test_ctrl_c_says_how_to_continue(small_data, tmp_path, capsys, monkeypatch):
    iterate = loop._Training.iterate

    def interrupting(self):
        iterate(self)
        if self.progress.iteration == 3:
            signal.raise_signal(signal.SIGINT)

    folder = str(tmp_path / "a run")
    with mock.patch.object(loop._Training, "iterate", interrupting):
        assert main(["train", "mnist", "--run", folder, *TINY]) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        f"minibn: interrupted: saved iteration 3 in {folder}; "
        f"continue with: minibn train mnist --run '{folder}' --resume"
    )
    assert main(["train", "mnist", "--run", folder, "--resume"]) == 0
    assert read_checkpoint(os.path.join(folder, "last.npz"))["progress/iteration"] == 4


# ------------------------------------------------------------------ the other commands


def test_gradcheck_exit_codes(capsys):
    with mock.patch("minibn.gradcheck.gradcheck_table", return_value=("a table", True)) as table:
        assert main(["gradcheck"]) == 0
        table.assert_called_with(["all"])
        assert main(["gradcheck", "lstm", "rnn"]) == 0
        table.assert_called_with(["lstm", "rnn"])
    with mock.patch("minibn.gradcheck.gradcheck_table", return_value=("a table", False)):
        assert main(["gradcheck", "rnn"]) == 1
    assert capsys.readouterr().out == "a table\n" * 3


def test_gradcheck_for_real(capsys):
    assert main(["gradcheck", "rnn"]) == 0
    assert "RNN" in capsys.readouterr().out


def test_data_commands(capsys):
    assert main(["data", "list"]) == 0
    assert "mnist_subset" in capsys.readouterr().out
    assert main(["data", "verify", "mnist_subset"]) == 0
    assert "SHA-256" in capsys.readouterr().out
    with mock.patch("minibn.data.fetch_data", return_value="fetched") as fetch:
        assert main(["data", "fetch"]) == 0
        fetch.assert_called_with("mnist")


def test_demo_and_reproduce_pass_their_options_on(capsys):
    with mock.patch("minibn.studies.demo.run_demo", return_value={"gradients_ok": True}) as demo:
        assert main(["demo", "--output", "there", "--iterations", "5"]) == 0
        demo.assert_called_with(output="there", iterations=5, hidden=100, seed=1, progress="auto")
    with mock.patch("minibn.studies.demo.run_demo", return_value={"gradients_ok": False}):
        assert main(["demo"]) == 1
    with mock.patch("minibn.studies.reproduce", return_value="a figure") as reproduce:
        assert main(["reproduce", "figure2", "--runs", "a", "b"]) == 0
        reproduce.assert_called_with(name="figure2", output="runs/figures", runs=["a", "b"], seed=1, seeds=1,
                                     numbers=None)
    assert "a figure" in capsys.readouterr().out


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["train"], "the following arguments are required: TASK"),
        (["train", "cifar"], "invalid choice: 'cifar'"),
        (["train", "mnist", "--hidden", "many"], "argument --hidden: invalid int value: 'many'"),
        (["train", "mnist", "--gama", "1"], "unrecognized arguments: --gama 1"),
        (["train", "mnist", "--hidden", "0"], "hidden: expected at least 1"),
        (["train", "mnist", "--learning-rate", "nan"], "learning_rate: expected a finite number above"),
        (["train", "pmnist", "--index-map", "authors_seed1"], "use --side 28"),
        (["train", "mnist", "--model", "lstm", "--batch", "1"], "batch: expected at least 2"),
        (["evaluate", "nowhere"], "nowhere: no run here"),
        (["data", "verify", "imagenet"], "there is no data set 'imagenet'"),
        (["gradcheck", "gru"], "got 'gru'"),
        (["reproduce", "figure9"], "invalid choice: 'figure9'"),
        (["reproduce", "figure1b", "--seed", "-1"], "seed: expected at least 0"),
        (["reproduce", "figure1b", "--output", ""], "argument --output: expected the name of a file or folder, got ''"),
        (["train", "mnist", "--run", ""], "argument --run: expected the name of a file or folder, got ''"),
        (["evaluate", "a\0b"], "argument RUN: expected the name of a file or folder"),
        (["train", "mnist", "--batch", "9" * 20], "batch: expected at most 9223372036854775807, got 999"),
        (["train", "mnist", "--hidden", str(2**62)], f"hidden: {2**62} units are too many for the memory"),
        (["train", "ptb", "--population-batch", "1" + 20 * "0"], "population_batch: expected at most"),
        (["train", "mnist", "--gamma", "1e300"], "gamma: expected a finite number in float32, got 1e+300"),
        (["train", "mnist", "--forget-bias", "1e39"], "forget_bias: expected a finite number"),
        (["train", "mnist", "--eps", "1e-300"], "eps: expected a finite number above 0"),
        (["data", "list", "nonsense"], "there is no data set 'nonsense'"),
        (["data", "fetch", ""], "there is no data set ''"),
    ],
)
def test_mistakes_are_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in failure(capsys, *arguments)
    assert os.listdir(tmp_path) == []


def test_a_data_folder_of_nobody_is_one_line(capsys, monkeypatch):
    monkeypatch.setenv("MINIBN_DATA", "~nobody_of_this_name/x")
    for command in (["data", "list"], ["data", "verify", "mnist"]):
        assert "MINIBN_DATA='~nobody_of_this_name/x' is not a folder" in failure(capsys, *command)


def test_a_user_without_a_home_needs_only_a_data_folder(capsys, monkeypatch, tmp_path):
    """As in a container: HOME is not set, and nobody knows the number of the user."""
    pwd = pytest.importorskip("pwd", reason="Windows knows a home otherwise")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("MINIBN_DATA", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", mock.Mock(side_effect=KeyError("uid not found")))
    assert "HOME is not set" in failure(capsys, "data", "fetch", "mnist")
    monkeypatch.setenv("MINIBN_DATA", str(tmp_path))
    assert main(["data", "list"]) == 0
    assert str(tmp_path) in capsys.readouterr().out


def test_a_prompt_that_is_no_text_is_one_line(capsys, tmp_path):
    folder = str(tmp_path / "run")
    tiny_run.run(folder, tiny_run.TEXT_CONFIG)
    for prompt in ("\udcff", "Cé"):                                      # what $'\xff' becomes; a known and an unknown
        assert f"found {prompt[-1]!a} at position {len(prompt) - 1}" in failure(
            capsys, "sample", folder, "--prompt", prompt
        ).encode("ascii", "backslashreplace").decode()
    for option, value in (("length", "-1"), ("length", str(2**62)), ("seed", "-1"), ("temperature", "nan")):
        assert f"{option}: expected " in failure(capsys, "sample", folder, f"--{option}", value)


def test_what_nobody_foresaw_is_one_line_too(capsys, monkeypatch):
    with mock.patch("minibn.data.list_data", side_effect=KeyError("deep inside")):
        assert "KeyError: 'deep inside' (unexpected; MINIBN_DEBUG=1 shows where)" in failure(capsys, "data", "list")
        monkeypatch.setenv("MINIBN_DEBUG", "1")
        with pytest.raises(KeyError):
            main(["data", "list"])


def shell(command, *arguments):
    """What a shell's command line makes of ``minibn``, here ``$M``; its exit code, stdout and stderr."""
    done = subprocess.run(["sh", "-c", command, "sh", *arguments], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "M": f"{sys.executable} -m minibn", "PYTHONPATH": os.pathsep.join(
                              [os.path.dirname(os.path.dirname(minibn.__file__)), os.environ.get("PYTHONPATH", "")])})
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize(("command", "code", "out"), [
    ("{ $M data list; echo $? >&2; } | true", 0, ""),                   # its reader is gone
    ("{ $M train mnist --help; echo $? >&2; } | true", 0, ""),
    ("$M data list >&-", 0, ""),
    ("$M evaluate nowhere 2>&-", 2, ""),
    ("$M evaluate nowhere 2>/dev/full", 2, ""),
    ("$M gradcheck rnn >/dev/full", 2, ""),
])  # fmt: skip
def test_streams_that_are_closed_full_or_without_a_reader_leave_no_traceback(command, code, out):
    returned, stdout, stderr = shell(command)
    assert (returned, stdout) == (code, out)
    assert stderr.strip() in ("", "0", "141", "minibn: error: No space left on device")    # argparse makes it 0


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_training_needs_neither_stdout_nor_stderr(tmp_path):
    """A closed stream's number goes to the next file that is opened: nothing may be printed into a checkpoint."""
    folder = str(tmp_path / "run")
    options = "--validate-on 20 --population-on 20 --population-batch 20 --progress bar " + " ".join(TINY)
    assert shell(f'$M train mnist --side 14 --run "$1" {options} >&- 2>&- <&-', folder) == (0, "", "")
    assert [record["kind"] for record in read_metrics(tmp_path / "run" / "metrics.jsonl")][-1] == "final"
    again = '$M train mnist --side 14 --run "$1" --resume --iterations 5 --progress bar 2</dev/null'     # not writable
    code, out, _ = shell(again, folder)
    assert (code, out.count("model of iteration")) == (0, 1)


def test_missing_data_are_one_line_and_leave_no_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIBN_DATA", str(tmp_path / "nowhere"))
    assert "MINIBN_DATA" in failure(capsys, "train", "mnist", "--preset", "paper")
    assert os.listdir(tmp_path) == []


def test_no_cupy_is_one_line_and_names_the_extra(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # import cupy raises ImportError
    monkeypatch.chdir(tmp_path)
    assert "minibn[cuda12]" in failure(capsys, "train", "mnist", "--device", "cuda")
    assert os.listdir(tmp_path) == []


def test_a_run_folder_that_cannot_be_made_is_one_line(capsys, tmp_path, small_data):
    (tmp_path / "file").write_text("")
    assert "file" in failure(capsys, "train", "mnist", "--run", str(tmp_path / "file" / "run"), *TINY)


def test_damaged_checkpoints_are_one_line(small_data, capsys, tmp_path):
    folder = tmp_path / "run"
    assert main(["train", "mnist", "--run", str(folder), *TINY]) == 0
    for name, arguments in (("last.npz", ["train", "mnist", "--resume", "--run"]), ("best.npz", ["evaluate"])):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        message = failure(capsys, *arguments, str(folder))
        assert f"{name}: damaged, truncated, or not a checkpoint of minibn" in message


def test_a_diverged_training_is_one_line_and_names_the_last_checkpoint(small_data, capsys, tmp_path):
    folder = tmp_path / "run"
    with mock.patch("minibn.training.config.clip_by_global_norm", lambda grads, _: (grads, np.float32(np.nan))):
        message = failure(capsys, "train", "mnist", "--run", str(folder), *TINY)
    assert "the norm of the gradient is not finite at iteration 2" in message
    assert f"{folder / 'last.npz'}, iteration 0" in message


def test_a_full_disk_is_one_line(small_data, capsys, tmp_path):
    full = OSError(28, os.strerror(28))
    with mock.patch("os.fsync", side_effect=full):
        message = failure(capsys, "train", "mnist", "--run", str(tmp_path / "run"), *TINY)
    assert "cannot write: the disk is full; nothing was written" in message


def test_debug_shows_the_traceback(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIBN_DEBUG", "1")
    with pytest.raises(FileNotFoundError, match="no run here"):
        main(["evaluate", str(tmp_path)])
