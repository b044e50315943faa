"""Figure 3(b): test bits per character on segments longer than those of training, from run folders.

An LSTM has one curve. A model with batch normalization has three: with the population statistics of each step, of
which the last is repeated beyond the length of training; with those of the batch at hand; and, the paper's ablation,
with the population's averaged over time. Table 2 is the same for the whole test text as one sequence.
"""

from pathlib import Path

from minibn.studies.drawing import PUBLISHED_STYLE, colors_of, label_ends, title_of
from minibn.studies.figure import figure_of_runs
from minibn.studies.reference import published_curves, published_table
from minibn.studies.runs import described, grouped, read_config_of
from minibn.studies.text_runs import KIND, PUBLISHED, is_published_text, ours_and_published
from minibn.tables import markdown_table
from minibn.training import evaluate_run, evaluate_whole_text
from minibn.training.display import Display

__all__ = ["FIGURE", "LENGTHS", "compute", "order", "panels", "plot", "table"]

LENGTHS = tuple(range(100, 1001, 100))
BATCH = 100     # segments: for batch statistics it matters, and the authors took these
MODES = {
    "population": "population statistics",
    "batch": "batch statistics",
    "averaged": "statistics averaged over time",
}
LOOKS = {   # of the curves of a model with batch normalization; None is the model's colour
    "population": (None, "o"),
    "batch": ("#33bbee", "s"),
    "averaged": ("#ee7733", "^"),
}
PAPERS_ORDER = ("BN-LSTM, population statistics", "BN-LSTM, batch statistics", "LSTM")     # the best first


def compute(runs, lengths=LENGTHS, progress="auto"):
    """Evaluate the best model of each run on the test text, cut into segments of each length, and as one sequence.

    Parameters
    ----------
    runs : iterable of path-like
        Folders of runs on text, with ``best.npz``.
    lengths : sequence of int
        Characters in a segment.
    progress : {"auto", "bar", "lines", "none"}
        What to show on stderr: an evaluation takes seconds to minutes.

    Returns
    -------
    list of dict
        One per run, in the given order: what `minibn.studies.runs.described` gives, "test_name" (what the numbers were
        measured on), "lengths"; "bits_per_character", a dict of series name -> list, one number for each of
        `lengths`; and "whole_text", a dict of series name -> number. There is none with batch statistics in the
        latter: a text alone is no batch.

    Raises
    ------
    ValueError
        A run is not on text; a length longer than the test text.
    """
    runs = [(Path(folder), *read_config_of(folder, KIND)) for folder in runs]
    # Each mode at each length and on the whole text, where there are no batch statistics.
    evaluations = sum(len(_modes(config)) * (len(lengths) + 1) - config.normalized for _, config, _ in runs)
    display = Display(progress, 0, evaluations, "figure 3(b)")
    try:
        return [{**described(folder, config, made_with), **_evaluate(folder, config, lengths, display)}
                for folder, config, made_with in runs]
    finally:
        display.close()


def panels(numbers):
    """The runs grouped by their test text and their size: title -> runs."""
    return grouped(numbers, lambda run: f"{run['test_name']}, {run['settings']['hidden']:,} units")


def plot(runs, ax, title=""):
    """Draw the runs of one panel (solid), over the published curves (dashed) where they are of the same text."""
    published, lines = _published(runs), []
    colors = colors_of(run["model"] for run in runs)
    for run in runs:
        for (name, bits), mode in zip(run["bits_per_character"].items(), MODES, strict=False):
            color, marker = LOOKS[mode]
            color = color or colors[run["model"]]
            lines += ax.plot(run["lengths"], bits, color=color, linewidth=1.8, marker=marker, markersize=4, label=name)
            if name in published:
                lines += ax.plot(*published[name], color=color, **PUBLISHED_STYLE, label=f"{name}, {PUBLISHED}")
    ax.set(title=title, xlabel="length of the segments, characters", ylabel="test, bits per character")
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())      # they stay
    label_ends(ax, lines)


def table(runs):
    """One panel as a Markdown table: our bits per character beside the published ones; and what their order is."""
    published, whole = _published(runs), _published_whole(runs)
    lengths = sorted({length for run in runs for length in run["lengths"]})
    columns = [["segment length", *(f"{length:,}" for length in lengths), "whole text, one sequence"]]
    for run in runs:
        for name, bits in run["bits_per_character"].items():
            ours = dict(zip(run["lengths"], bits, strict=True))
            columns.append([f"{name}, ours", *_column(ours, lengths, run["whole_text"].get(name))])
            if name in published:
                theirs = dict(zip(*published[name], strict=True))
                columns.append(["published", *_column(theirs, lengths, whole.get(name), ".2f")])
    numbers = markdown_table(zip(*columns, strict=True), "r")
    return "\n\n".join([numbers, ours_and_published(runs, published), order(runs)])


def order(runs):
    """Whether the runs of a panel are in the order that the paper found, length by length, in words."""
    papers = f"The paper's order ({' < '.join(map(_short, PAPERS_ORDER))})"
    curves = {name: bits for run in runs for name, bits in run["bits_per_character"].items()}
    if len(runs) != 2 or set(PAPERS_ORDER) - set(curves) or runs[0]["lengths"] != runs[1]["lengths"]:
        return f"{papers} can be looked for in one run of each model, at the same lengths."
    yes, no = [], []
    for length, *bits in zip(runs[0]["lengths"], *(curves[name] for name in PAPERS_ORDER), strict=True):
        if bits[0] < bits[1] < bits[2]:
            yes.append(f"{length:,}")
        else:
            ours = sorted(zip(bits, map(_short, PAPERS_ORDER), strict=True))
            no.append(f"at {length:,} it is " + " < ".join(f"{name} ({value:.4f})" for value, name in ours))
    if not no:
        return f"{papers} holds at every length."
    return f"{papers} holds at {'the lengths ' + ', '.join(yes) if yes else 'no length'}; {'; '.join(no)}."


def _evaluate(folder, config, lengths, display):
    """The numbers of one run."""
    def measured(found, name, where):
        [(what, score)] = found.items()
        display.say(f"{folder.name}: {name}, {where}: {score.bits:.4f} bits per character")
        display.advance()
        return what, score.bits

    bits, whole = {}, {}
    for mode, name in _modes(config).items():
        bits[name] = []
        for length in lengths:
            score = evaluate_run(folder, mode, batch_size=BATCH, lengths=[length])
            bits[name].append(measured(score, name, f"length {length}")[1])
        if mode != "batch":
            what, whole[name] = measured(evaluate_whole_text(folder, mode), name, "one sequence")
    return {"test_name": what.removesuffix(", one sequence"), "lengths": list(lengths), "bits_per_character": bits,
            "whole_text": whole}


def _modes(config):
    """The ways to normalize a model: mode -> the name of the curve, those of the published curves among them."""
    model = title_of(config.model)
    if not config.normalized:
        return {"population": model}          # it has none, and its result is the same in every mode
    return {mode: f"{model}, {name}" for mode, name in MODES.items()}


def _published(runs):
    """The published curves, if the runs are of the same text: series name -> (length, bits)."""
    return published_curves("figure_3b") if all(map(is_published_text, runs)) else {}


def _published_whole(runs):
    """Table 2, for the whole test text as one sequence with population statistics: series name -> bits."""
    if not all(map(is_published_text, runs)):
        return {}
    values = {row["model"]: row["value"] for row in published_table("2")}
    return {"LSTM": values["LSTM"], "BN-LSTM, population statistics": values["BN-LSTM"]}


def _short(name):
    return name.removeprefix("BN-LSTM, ")


def _column(bits, lengths, whole, digits=".3f"):
    """The cells of one series: its bits at each of the lengths, and of the whole text."""
    cells = [f"{bits[length]:.3f}" if length in bits else None for length in lengths]
    return [*cells, None if whole is None else f"{whole:{digits}}"]


FIGURE = figure_of_runs(
    name="figure3b", help="bits per character of texts longer than in training", takes={"runs": "runs on text"},
    compute=compute, panels=panels, plot=plot, table=table,
)  # fmt: skip
