"""The demo: gradients checked, two networks trained side by side on real images, the figures, one page.

Everything it shows comes from the rooms that a user would call too; here is only the order of things and the text.
"""

import json
import os
import platform
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

import minibn
from minibn.cells import CELLS
from minibn.gradcheck import gradcheck_table
from minibn.machine import made_with
from minibn.studies import figure1a, figure1b, figure2, page
from minibn.studies.drawing import title_of
from minibn.studies.output import save_figure, write_numbers
from minibn.studies.side_by_side import one_thread_processes, watch_runs
from minibn.tables import plain_table
from minibn.training import make_config, train
from minibn.training.runs import BEST, CONFIG, LAST, METRICS

MODELS = ("lstm", "bnlstm")     # the one without batch normalization first
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
    configs = {title_of(model): make_config("quick", task="pmnist", model=model, seed=seed, hidden=hidden,
                                            iterations=iterations, validate_every=min(VALIDATE_EVERY, iterations))
               for model in MODELS}
    folders = {name: output / config.model for name, config in configs.items()}
    _make_room(output, folders.values())

    _say(f"1/3  Gradient checks of {len(CELLS)} cells: our hand-written gradients against numerical ones, some seconds")
    checks, gradients_ok = gradcheck_table(["all"])
    print(checks, flush=True)

    _say(f"2/3  Training {' and '.join(configs)} side by side: real images, one pixel at a time, in a shuffled order")
    with one_thread_processes(len(MODELS)) as pool:
        futures = {name: pool.submit(train, config, folders[name], progress="none")
                   for name, config in configs.items()}
        gradients = pool.submit(figure1a.compute, seed)      # runs where the first network is done
        finals = watch_runs(futures, folders, len(MODELS) * iterations, progress)
        gradients = gradients.result()
    for name, final in finals.items():
        print(_result_line(name, final, configs[name].normalized), flush=True)

    _say("3/3  Figures 1(a) and 1(b) of the paper, the learning curves, the page")
    curves = figure2.compute(folders.values())
    _draw(output, curves, gradients, seed, next(iter(configs.values())))
    numbers = {
        "gradients_ok": gradients_ok,
        "test_name": finals[title_of(MODELS[0])]["test_name"],
        "test_accuracy": {name: final["test_accuracy"] for name, final in finals.items()},
        "final": finals,
        "figure1a_log10_ratios": figure1a.ratios(gradients)[0],
        "seconds": time.perf_counter() - started,
        "seed": seed,
        "minibn": minibn.__version__,
    }
    _write_page(output, numbers, checks, configs, curves)
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


def _result_line(name, final, normalized):
    text = f"{name:>8}: accuracy on the {final['test_name']} {final['test_accuracy']:.3f}"
    if normalized:
        text += (" with population statistics, "
                 f"{final['test_accuracy_batch_statistics']:.3f} with those of each batch")
    return text


def _draw(output, curves, gradients, seed, config):
    """Draw the pictures of the page, and write their numbers beside them."""
    data = config.load_data()
    image = data.valid.images[0] / data.valid.white
    panels = [partial(_draw_digit, image, data.order), partial(_draw_sequence, image)]
    save_figure(output / "digit.png", *panels, size=(5.3, 2.0), columns=2, widths=(1, 3))
    (title, runs), = figure2.panels(curves).items()
    save_figure(output / "learning_curves.png", partial(figure2.plot, runs, title=title), size=figure2.FIGURE.size)
    saturation = figure1b.compute(seed=seed)
    for figure, numbers in ((figure1a.FIGURE, gradients), (figure1b.FIGURE, saturation)):
        save_figure(output / f"{figure.name}.png", *figure.panels(numbers), size=figure.size)
        write_numbers(output / f"{figure.name}.json", numbers)
    write_numbers(output / "learning_curves.json", curves)


def _draw_digit(image, order, ax):
    pixels = np.empty(len(image))
    pixels[order] = image
    ax.imshow(pixels.reshape(round(len(image) ** 0.5), -1), cmap="gray_r")
    ax.set(xticks=[], yticks=[], title="what you see")
    ax.spines[:].set_visible(True)


def _draw_sequence(image, ax):
    ax.bar(range(1, len(image) + 1), image, width=0.9, color="#222222")
    ax.set(xlim=(0, len(image) + 1), ylim=(0, 1), yticks=[0, 1], xlabel="step", ylabel="ink",
           title="what the network sees: one pixel at each step")
    ax.grid(False)


# ---------------------------------------------------------------------- the page


def _write_page(output, numbers, checks, configs, curves):
    plain, normalized = map(title_of, MODELS)
    config, finals = configs[normalized], numbers["final"]
    header = ("network", "best validation", "at iteration", numbers["test_name"], "with batch statistics")
    scores = [(name, f"{final['best_valid_accuracy']:.3f}", final["best_iteration"], f"{final['test_accuracy']:.3f}",
               f"{final['test_accuracy_batch_statistics']:.3f}" if configs[name].normalized else "-")
              for name, final in finals.items()]
    settings = [("setting", "value"), *((name, value) for name, value in config.to_dict().items() if name != "model")]
    pictures = {"digit": "A handwritten digit, and its pixels as a sequence of numbers",
                "learning_curves": "Validation accuracy of both networks while training",
                "figure1a": "Gradient norm against time step for ten values of gamma",
                "figure1b": "Derivative of tanh against the standard deviation of its input"}
    text = page.fill(
        "demo.html", plain=plain, normalized=normalized, cells=len(CELLS), test_name=numbers["test_name"],
        plain_accuracy=f"{finals[plain]['test_accuracy']:.1%}",
        normalized_accuracy=f"{finals[normalized]['test_accuracy']:.1%}",
        verdict="all pass" if numbers["gradients_ok"] else "FAILED", seconds=f"{numbers['seconds']:.0f}",
        processors=os.cpu_count(), side=config.side, steps=config.side ** 2, batch=config.batch, hidden=config.hidden,
        iterations=config.iterations, gamma=f"{config.gamma:g}", comparison=_comparison(curves),
        scores=page.table([header, *scores]), settings=page.table(settings), checks=checks,
        checks_verdict=f"The checks: {checks.splitlines()[-1]}", commands=_commands(output),
        version=numbers["minibn"], python=platform.python_version(), seed=numbers["seed"],
        date=f"{datetime.now():%Y-%m-%d %H:%M}", command=made_with()["command"],
        **{name: page.picture(output / f"{name}.png", description) for name, description in pictures.items()},
    )  # fmt: skip
    (output / PAGE).write_text(text, encoding="utf-8")


def _comparison(curves):
    """What the two learning curves say, in a sentence."""
    plain, normalized = curves
    best = int(np.argmax(plain["accuracy"]))
    passed = np.flatnonzero(normalized["accuracy"] >= plain["accuracy"][best])
    name, other, reached = title_of(normalized["model"]), title_of(plain["model"]), f"{plain['accuracy'][best]:.0%}"
    if not len(passed):
        return f"This time the {name} did not reach the {reached} of the {other}."
    return (f"The {name} needed {normalized['iteration'][passed[0]]} minibatches for the {reached} that the {other} "
            f"reached after {plain['iteration'][best]}.")


def _commands(output):
    normalized = MODELS[1]
    return plain_table([
        (f"minibn evaluate {output / normalized} --statistics averaged", "# the paper's ablation"),
        (f"minibn train pmnist --model {normalized} --iterations 1000", "# the same, longer"),
        (f"minibn train mnist --preset paper --model {normalized}", "# the paper's protocol, all of MNIST"),
        ("minibn reproduce figure1a --seed 2", "# other weights, other images"),
        (f"minibn gradcheck {normalized}", "# one cell's gradients"),
    ], "l")
