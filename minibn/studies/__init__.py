"""The paper's figures: each study computes numbers, and draws them beside the published curves.

    numbers = figure1b.compute()
    figure1b.plot(numbers, ax)
    published_curve("figure_2_pmnist", "BN-LSTM")       # (x, y)
    print(reproduce("figure1a", "runs/figures"))        # PNG and JSON files
"""

from functools import partial
from pathlib import Path

from minibn.studies import figure1a, figure1a_seeds, figure1b, figure2
from minibn.studies.output import save_figure, write_numbers
from minibn.studies.reference import published_curve, published_curves, published_table

__all__ = [
    "FIGURES", "figure1a", "figure1a_seeds", "figure1b", "figure2", "published_curve", "published_curves",
    "published_table", "reproduce",
]  # fmt: skip

FIGURES = ("figure1a", "figure1a_lstm", "figure1b", "figure2")


def reproduce(name, output="runs/figures", runs=(), seed=1, seeds=1):
    """Compute one figure of the paper, and write ``name.png`` and ``name.json`` (Figure 2: ``name.md`` too).

    ``figure1a_lstm`` is Figure 1(a) for the LSTM and the BN-LSTM, which the paper does not show.

    Parameters
    ----------
    name : {"figure1a", "figure1a_lstm", "figure1b", "figure2"}
    output : path-like
        Folder to write to; made where it is missing. Files of these names in it are replaced.
    runs : sequence of path-like
        Figure 2 only: the folders of the training runs to draw.
    seed : int
        Figures 1(a) and 1(b): of the weights, the order of the pixels and the batch; of the samples.
    seeds : int
        Figure 1(a): how many seeds, from ``seed`` on; with more than one, medians and spread are drawn.

    Returns
    -------
    str
        What was found, and where the files are.

    Raises
    ------
    ValueError
        Unknown name; Figure 2 without runs, or runs with another figure; seeds with Figures 1(b) and 2.
    """
    if name not in FIGURES:
        raise ValueError(f"name: expected one of {', '.join(FIGURES)}, got {name!r}")
    if (name == "figure2") != bool(runs):
        raise ValueError("runs: figure2, and no other figure, is drawn from training runs; name their folders")
    if seeds < 1 or (seeds > 1 and not name.startswith("figure1a")):
        raise ValueError(f"seeds: expected 1, or more for figure1a and figure1a_lstm, got {seeds} for {name}")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    picture, numbers_file = output / f"{name}.png", output / f"{name}.json"
    if name == "figure1a" and seeds > 1:
        numbers = figure1a_seeds.compute(range(seed, seed + seeds))
        text = figure1a_seeds.table(numbers)
        save_figure(picture, partial(figure1a_seeds.plot, numbers), size=figure1a.SIZE)
    elif name == "figure1a_lstm":
        numbers = figure1a_seeds.compute_lstm(range(seed, seed + seeds))
        text = figure1a_seeds.table_lstm(numbers)
        save_figure(picture, *(partial(figure1a_seeds.plot_lstm, numbers, state=state) for state in "hc"))
    elif name == "figure1a":
        numbers = figure1a.compute(*figure1a.image_batch(seed), seed=seed)
        text = figure1a.table(numbers)
        save_figure(picture, partial(figure1a.plot, numbers), size=figure1a.SIZE)
    elif name == "figure1b":
        numbers = figure1b.compute(seed=seed)
        text = figure1b.table(numbers)
        save_figure(picture, partial(figure1b.plot, numbers))
    else:
        numbers = figure2.compute(runs)
        panels = figure2.panels(numbers)
        text = "\n\n".join(f"{title}\n\n{figure2.table(panel)}" for title, panel in panels.items())
        (output / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        save_figure(picture, *(partial(figure2.plot, panel, title=title) for title, panel in panels.items()))
    write_numbers(numbers_file, numbers)
    return f"{text}\n\n{picture}\n{numbers_file}"
