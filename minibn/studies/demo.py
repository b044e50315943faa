"""The demo: gradients checked, two networks trained side by side on real images, the figures, one page.

Everything it shows comes from the rooms that a user would call too; here is only the order of things and the text.
"""

import json
import os
import platform
import sys
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import minibn
from minibn.gradcheck import gradcheck_table
from minibn.studies import figure1a, figure1b, figure2, page
from minibn.studies.output import save_figure, write_numbers
from minibn.studies.side_by_side import one_thread_processes, watch_runs
from minibn.training import make_config, train
from minibn.training.runs import BEST, CONFIG, LAST, METRICS

CELLS = ("rnn", "bnrnn", "lstm", "bnlstm")
MODELS = {"LSTM": "lstm", "BN-LSTM": "bnlstm"}
ITERATIONS = 400
VALIDATE_EVERY = 25
MARKER = "demo.json"     # the demo's numbers; a folder that has one is the demo's to overwrite
PAGE = "index.html"


def run_demo(output="runs/demo", seed=1, iterations=ITERATIONS, hidden=100, progress="auto"):
    """Do it all and write `output`/index.html.

    Parameters
    ----------
    output : path-like
        A folder: new, empty, or of an earlier demo, whose files are then replaced.
    seed : int
        Of the weights, the order of the pixels, the batches and the samples.
    iterations, hidden : int
        Minibatches of 100 that each network is trained on, and their units.
    progress : {"auto", "bar", "lines", "none"}
        How the training shows how far it is.

    Returns
    -------
    dict
        What `output`/demo.json holds: among others "gradients_ok", "test_accuracy" and "seconds".

    Raises
    ------
    ValueError
        `output` holds other files.
    """
    started = time.perf_counter()
    output = Path(output)
    configs = {name: make_config("quick", task="pmnist", model=model, seed=seed, hidden=hidden,
                                 iterations=iterations, validate_every=min(VALIDATE_EVERY, iterations))
               for name, model in MODELS.items()}
    folders = {name: output / model for name, model in MODELS.items()}
    _make_room(output, folders.values())

    _say("1/3  Gradient checks: our hand-written gradients against numerical ones")
    table, gradients_ok = gradcheck_table(CELLS)
    print(table, flush=True)

    steps = configs["LSTM"].side ** 2
    _say(f"2/3  Training {' and '.join(MODELS)} side by side: real images, {steps} permuted pixels one by one")
    with one_thread_processes(len(MODELS)) as pool:
        futures = {name: pool.submit(train, config, folders[name], progress="none")
                   for name, config in configs.items()}
        gradients = pool.submit(_figure1a_numbers, seed)     # runs where the first network is done
        finals = watch_runs(futures, folders, len(MODELS) * iterations, progress)
        gradients = gradients.result()
    for name, final in finals.items():
        print(_result_line(name, final), flush=True)

    _say("3/3  Figures 1(a) and 1(b) of the paper, the learning curves, the page")
    figures = _figures(output, folders, gradients, seed)
    numbers = {
        "gradients_ok": gradients_ok,
        "test_name": finals["LSTM"]["test_name"],
        "test_accuracy": {name: final["test_accuracy"] for name, final in finals.items()},
        "final": finals,
        "figure1a_ratios": figures["ratios"],
        "seconds": time.perf_counter() - started,
        "seed": seed,
        "minibn": minibn.__version__,
    }
    _write_page(output, numbers, table, configs, figures)
    write_numbers(output / MARKER, numbers)
    _say(f"Done in {numbers['seconds']:.0f} s. Open {output / PAGE}")
    return numbers


def _say(text):
    print(f"\n{text}", flush=True)


def _make_room(output, folders):
    """Make the folder, and remove what an earlier demo trained in it; refuse a folder of anybody else."""
    marker = output / MARKER
    if output.exists() and any(output.iterdir()) and not marker.exists():
        raise ValueError(f"output: expected a new or empty folder, or that of an earlier demo, got {output}, "
                         "which holds other files; name another folder")
    output.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps({"unfinished": True}) + "\n", encoding="utf-8")
    for folder in folders:
        for name in (CONFIG, METRICS, LAST, BEST):
            (folder / name).unlink(missing_ok=True)


def _figure1a_numbers(seed):
    return figure1a.compute(*figure1a.image_batch(seed), seed=seed)


def _figures(output, folders, gradients, seed):
    """Draw the three figures, and return what the page says about them."""
    save_figure(output / "figure1a.png", partial(figure1a.plot, gradients), size=figure1a.SIZE)
    saturation = figure1b.compute(seed=seed)
    save_figure(output / "figure1b.png", partial(figure1b.plot, saturation))
    curves = figure2.compute(folders.values())
    (title, runs), = figure2.panels(curves).items()
    save_figure(output / "learning_curves.png", partial(figure2.plot, runs, title=title))
    for name, numbers in (("figure1a", gradients), ("figure1b", saturation), ("learning_curves", curves)):
        write_numbers(output / f"{name}.json", numbers)
    return {"title": title, "ratios": figure1a.ratios(gradients), "figure1a": figure1a.table(gradients),
            "figure1b": figure1b.table(saturation)}


def _result_line(name, final):
    text = f"{name:>8}: accuracy on the {final['test_name']} {final['test_accuracy']:.3f}"
    if name.startswith("BN"):
        text += (" with population statistics, "
                 f"{final['test_accuracy_batch_statistics']:.3f} with those of each batch")
    return text


# ---------------------------------------------------------------------- the page


def _write_page(output, numbers, gradient_table, configs, figures):
    accuracy = numbers["test_accuracy"]
    finals, config = numbers["final"], configs["BN-LSTM"]
    page.write_page(
        output / PAGE,
        title="minibn: recurrent batch normalization, by hand",
        lead="Batch normalization inside the recurrence of an LSTM (Cooijmans et al., ICLR 2017), every gradient "
             "written out by hand in NumPy, checked, and trained on this computer a moment ago.",
        sections=[
            ("", [page.cards([
                (f"{accuracy['BN-LSTM']:.1%}", f"BN-LSTM, {numbers['test_name']}, population statistics"),
                (f"{accuracy['LSTM']:.1%}", f"LSTM, {numbers['test_name']}, same training"),
                ("all pass" if numbers["gradients_ok"] else "FAILED", f"gradient checks of {len(CELLS)} cells"),
                (f"{numbers['seconds']:.0f} s", f"in all, on {os.cpu_count()} processors"),
            ])]),
            ("Two networks, side by side", [
                page.paragraph(
                    f"Both read the {config.side}x{config.side} pixels of a handwritten digit one at a time, in one "
                    f"fixed shuffled order, and name the digit after the last of the {config.side ** 2}. Same "
                    f"images, same batches, same optimizer, {config.hidden} units, {config.iterations} minibatches of "
                    f"{config.batch}; the one difference is the batch normalization."),
                page.picture(output / "learning_curves.png", "Validation accuracy of both networks while training",
                             "Validation accuracy with batch statistics, as in Figure 2 of the paper (which "
                             "trains on 50,000 images of 28x28 pixels for 100,000 minibatches)."),
                page.table(("network", "best validation", "at iteration", f"{numbers['test_name']}",
                            "the same with batch statistics"),
                           [(name, f"{final['best_valid_accuracy']:.3f}", str(final["best_iteration"]),
                             f"{final['test_accuracy']:.3f}",
                             f"{final['test_accuracy_batch_statistics']:.3f}" if name.startswith("BN") else "-")
                            for name, final in finals.items()]),
                page.paragraph(
                    "After training, one pass over the training images estimates each time step's mean and "
                    "variance again, and the held-out images are classified with these: an answer no longer "
                    f"depends on which other images are in the batch. The {numbers['test_name']} come from the "
                    "training file of MNIST; this is not the MNIST test set."),
            ]),
            ("Gradient checks", [
                page.paragraph("Each gradient was derived by hand, through the batch mean and variance, across "
                               "examples and across time. Here it is beside a numerical one."),
                page.terminal_text(gradient_table),
            ]),
            ("Figure 1(a): why gamma starts at 0.1", [
                page.picture(output / "figure1a.png",
                             "Gradient norm against time step for ten values of gamma, ours and published",
                             "How much the loss depends on the hidden state of each step, in an untrained "
                             "batch-normalized tanh RNN reading 784 permuted pixels. Solid: computed now, in "
                             "float64. Dashed: published. With γ = 0.1 the gradient crosses 784 steps almost "
                             "unharmed; with γ = 1 nothing arrives. What repeats is the order of magnitude for small "
                             "γ and the order of the curves: weights, pixel order and images are drawn anew."),
                page.terminal_text(figures["figure1a"]),
            ]),
            ("Figure 1(b): the reason", [
                page.picture(output / "figure1b.png",
                             "Derivative of tanh against the standard deviation of its input",
                             "Batch normalization gives each tanh an input of standard deviation γ. The wider it is, "
                             "the smaller the derivative that the gradient is multiplied with at every step."),
                page.terminal_text(figures["figure1b"]),
            ]),
            ("Now you", [
                page.terminal_text("\n".join(_commands(output))),
                page.table(("setting", "value"), [(name, str(value)) for name, value in config.to_dict().items()
                                                  if name != "model"]),
            ]),
        ],
        footer=f"minibn {numbers['minibn']}, Python {platform.python_version()}, seed {numbers['seed']}, "
               f"{datetime.now():%Y-%m-%d %H:%M}. Command: {' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}",
    )


def _commands(output):
    commands = (
        (f"minibn evaluate {output / 'bnlstm'} --statistics averaged", "the paper's ablation"),
        ("minibn train pmnist --model bnlstm --iterations 1000", "the same, longer"),
        ("minibn train mnist --preset paper --model bnlstm", "the paper's protocol, all of MNIST"),
        ("minibn reproduce figure1a --seed 2", "other weights, other images"),
        ("minibn gradcheck bnlstm", "one cell's gradients"),
    )
    width = max(len(command) for command, _ in commands)
    return [f"{command:<{width}}  # {what}" for command, what in commands]
