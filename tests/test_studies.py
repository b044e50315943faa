"""The studies: published numbers, our numbers beside them, and the files and the page they end up in."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from minibn.equations.losses import softmax_cross_entropy_forward
from minibn.layers import BNLSTM, BNRNN
from minibn.models import SequenceClassifier
from minibn.studies import demo, figure1a, figure1a_seeds, figure1b, figure2, page, reproduce
from minibn.studies.gradient_flow import row_norms, state_gradient_norms
from minibn.studies.output import save_figure, write_numbers
from minibn.studies.reference import published_curve, published_curves, published_table
from minibn.training import load, make_config
from minibn.training.metrics import MetricsFile
from minibn.training.runs import start_run

# ---------------------------------------------------------------------- published numbers


@pytest.mark.parametrize("figure, series", [
    ("figure_1a", 10), ("figure_1b", 3), ("figure_2_mnist", 2), ("figure_2_pmnist", 2), ("figure_3a", 2),
    ("figure_3b", 3), ("figure_4a", 15), ("figure_4b", 6), ("figure_5", 120), ("figure_6_pmnist", 10),
    ("figure_6_pmnist_beyond_axes", 10), ("figure_6_ptb", 10), ("figure_6_ptb_corrected", 10),
])
def test_every_published_curve_is_readable(figure, series):
    curves = published_curves(figure)
    assert len(curves) == series
    for x, y in curves.values():
        assert x.shape == y.shape and x.size > 0
        assert np.isfinite(y).all() and (np.diff(x) > 0).all()


def test_no_curve_file_is_left_out_of_the_list_above():
    folder = resources.files("minibn.studies") / "reference"
    assert sum(entry.name.endswith(".csv") for entry in folder.iterdir()) == 13 + 1     # curves, tables.csv


@pytest.mark.parametrize("figure, series, x, y", [
    ("figure_2_mnist", "LSTM", 500, 0.137), ("figure_2_mnist", "BN-LSTM", 2_500, 0.860),
    ("figure_2_pmnist", "LSTM", 1_000, 0.477), ("figure_2_pmnist", "BN-LSTM", 500, 0.545),
    ("figure_1b", "mean", 1.0, 0.606), ("figure_3a", "LSTM", 791, 2.2225),
])
def test_published_values(figure, series, x, y):
    where, values = published_curve(figure, series)
    # The values of the specification are rounded to three digits; Figure 1(b)'s is one of a sampled curve.
    tolerance = 0.02 if figure == "figure_1b" else 0.0006
    assert values[np.argmin(abs(where - x))] == pytest.approx(y, abs=tolerance)


def test_published_accuracies_count_ten_thousand_images():
    for series in ("LSTM", "BN-LSTM"):
        _, accuracy = published_curve("figure_2_pmnist", series)
        assert np.allclose(accuracy * 1e4, np.round(accuracy * 1e4), rtol=0, atol=1e-9)


def test_published_tables():
    rows = {(row["task"], row["model"]): row["value"] for row in published_table("1")}
    assert rows["pMNIST", "BN-LSTM"] == 95.4 and rows["pMNIST", "LSTM"] == 90.2


@pytest.mark.parametrize("call, words", [
    (lambda: published_curves("figure_9"), "figure_1a"),
    (lambda: published_curves("../reference"), "figure_1a"),
    (lambda: published_curve("figure_1b", "median"), "'q25'"),
    (lambda: published_table("7"), "'4'"),
])
def test_unknown_published_names_say_what_there_is(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


# ---------------------------------------------------------------------- Figure 1(b)


def test_exact_mean_is_the_gaussian_integral():
    assert figure1b.exact_mean(np.array([0.1, 0.5, 1.0])) == pytest.approx([0.9902, 0.8265, 0.6057], abs=5e-5)
    x = np.linspace(-12, 12, 200_001)     # a sum so fine that it is exact to 1e-9
    density = np.exp(-x**2 / 2) / np.sqrt(2 * np.pi)
    integral = (figure1b.tanh_slope(0.7 * x) * density).sum() * (x[1] - x[0])
    assert figure1b.exact_mean(0.7) == pytest.approx(integral, abs=1e-9)


def test_figure1b_samples_agree_with_the_exact_curves():
    numbers = figure1b.compute(sigmas=50, samples=4_000)
    # A derivative in [0, 1] has a standard deviation below 0.5, its mean over 4,000 one below 0.008; 5 of these.
    assert np.abs(numbers["mean"] - numbers["exact_mean"]).max() < 0.04
    for name in ("q25", "q75"):
        # The density at a quartile is at least 0.4 here, so the quartile's error is below 5 * 0.5 / 0.4 / 63.
        assert np.abs(numbers[name] - numbers[f"exact_{name}"]).max() < 0.1
    assert numbers["sigma"][[0, -1]].tolist() == [0, 1] and numbers["mean"][0] == 1


def test_exact_quartiles_cut_a_sample_into_quarters():
    slope = figure1b.tanh_slope(0.8 * np.random.default_rng(0).standard_normal(100_000))
    for q in (0.25, 0.75):
        assert (slope < figure1b.exact_quantile(0.8, q)).mean() == pytest.approx(q, abs=0.007)   # 5 std errors


def test_published_figure1b_is_the_exact_one_with_sampling_noise():
    x, y = published_curve("figure_1b", "mean")
    assert abs((y - figure1b.exact_mean(x)).mean()) < 5e-4
    x, y = published_curve("figure_1b", "q25")
    assert np.abs(y - figure1b.exact_quantile(x, 0.25)).max() < 0.06


def test_figure1b_refuses_nonsense():
    with pytest.raises(ValueError, match="at least 2 and 1, got 1 and 5"):
        figure1b.compute(sigmas=1, samples=5)


# ---------------------------------------------------------------------- Figure 1(a)


def test_gradient_norms_are_those_of_the_total_derivative():
    """Numerically: change h_t of one example, run the rest of the sequence from there, look at the loss."""
    T, N, H, gamma, step = 4, 5, 3, 0.7, 1e-6
    rng = np.random.default_rng(3)
    x, y = rng.random((T, N, 2)), np.array([0, 1, 2, 3, 1])
    norms = figure1a.gradient_norms(x, y, gamma, H, np.random.default_rng(7))

    weights = np.random.default_rng(7)
    cell = BNRNN(2, H, gamma=gamma, dtype=np.float64, rng=weights, init="identity")
    model = SequenceClassifier(cell, 4, rng=weights)
    assert np.array_equal(cell.params["W_h"], np.eye(H))
    h, _ = cell.forward(x)

    def loss_from(t, h_t):
        last = h_t if t == T - 1 else cell.forward(x[t + 1:], initial_state=(h_t,))[0][-1]
        return softmax_cross_entropy_forward(last @ model.params["W_y"] + model.params["b_y"], y)[0]

    for t in range(T):
        dh = np.empty((N, H))
        for index in np.ndindex(N, H):
            change = np.zeros((N, H))
            change[index] = step
            dh[index] = (loss_from(t, h[t] + change) - loss_from(t, h[t] - change)) / (2 * step)
        assert norms[t] == pytest.approx(np.linalg.norm(dh, axis=1).mean(), rel=1e-6)


@pytest.fixture(scope="module")
def figure1a_numbers():
    return figure1a.compute(*figure1a.image_batch(), gammas=(0.1, 0.6, 1.0))


def test_figure1a_repeats_the_published_picture(figure1a_numbers):
    small, medium, large = figure1a_numbers["norm"]
    assert small.shape == (784,)
    # The last step's norm is the paper's 0.0095-0.0100 (about 1 per example, over a batch of 100).
    assert figure1a_numbers["norm"][:, -1] == pytest.approx([0.0097] * 3, rel=0.1)
    # gamma = 0.1: flat within a decade for 600 steps. gamma = 0.6: lost in between. gamma = 1: nothing arrives.
    assert small[100:700].max() < 10 * small[100:700].min()
    assert 0.02 < small[100] / small[-1] < 0.5
    assert 1e-20 < medium[100] / medium[-1] < 1e-6
    assert large[100] / large[-1] < 1e-24


def test_figure1a_ratios_and_table(figure1a_numbers):
    (_, ours, published), (_, _, medium), (_, _, underflow) = figure1a.ratios(figure1a_numbers)
    assert ours == figure1a_numbers["norm"][0, 100] / figure1a_numbers["norm"][0, -1]
    assert published == pytest.approx(10 ** (-3.10 + 2.02), rel=0.05)      # read to two digits of the logarithm
    assert medium == pytest.approx(10 ** (-17.9 + 2.02), rel=0.3)
    assert underflow is None
    assert figure1a.table(figure1a_numbers).splitlines()[-1].split()[::2] == ["1.0", "underflow"]


def test_row_norms_neither_overflow_nor_underflow():
    a = np.array([[3e-200, 4e-200], [3e200, -4e200], [0.0, 0.0], [3.0, 4.0]])
    assert row_norms(a) == pytest.approx([5e-200, 5e200, 0.0, 5.0], rel=1e-15)


def test_lstm_gradients_are_those_of_the_total_derivatives():
    """Numerically: change h_t or c_t of one example, run the rest of the sequence from there, look at the loss."""
    T, N, H, step = 4, 5, 3, 1e-6
    rng = np.random.default_rng(3)
    x, y = rng.random((T, N, 2)), np.array([0, 1, 2, 3, 1])
    cell = BNLSTM(2, H, gamma=0.7, rng=5, init="identity_g")
    model = SequenceClassifier(cell, 4, rng=6)
    norms = state_gradient_norms(model, x, y)
    assert set(norms) == {"h", "c"}
    h, cache = cell.forward(x)

    def loss_from(t, h_t, c_t):
        last = h_t if t == T - 1 else cell.forward(x[t + 1:], initial_state=(h_t, c_t))[0][-1]
        return softmax_cross_entropy_forward(last @ model.params["W_y"] + model.params["b_y"], y)[0]

    def output_of(t, c_t):
        """h_t for another c_t, by Eq. 8: the total derivative of c_t is through h_t too."""
        hat = (c_t - c_t.mean(axis=0)) / np.sqrt(c_t.var(axis=0) + cell.eps)
        return cache.o[t] * np.tanh(cell.params["gamma_c"] * hat + cell.params["beta_c"])

    for t in range(T):
        dh, dc = np.empty((N, H)), np.empty((N, H))
        for index in np.ndindex(N, H):
            change = np.zeros((N, H))
            change[index] = step
            dh[index] = (loss_from(t, h[t] + change, cache.c[t])
                         - loss_from(t, h[t] - change, cache.c[t])) / (2 * step)
            up, down = cache.c[t] + change, cache.c[t] - change
            dc[index] = (loss_from(t, output_of(t, up), up) - loss_from(t, output_of(t, down), down)) / (2 * step)
        assert norms["h"][t] == pytest.approx(np.linalg.norm(dh, axis=1).mean(), rel=1e-6)
        assert norms["c"][t] == pytest.approx(np.linalg.norm(dc, axis=1).mean(), rel=1e-6)


def test_float32_loses_the_small_gradients():
    x, y = figure1a.image_batch()
    narrow = figure1a.gradient_norms(x.astype(np.float32), y, 1.0, norm=lambda a: np.linalg.norm(a, axis=1))
    wide = figure1a.gradient_norms(x, y, 1.0)
    assert narrow[-100:] == pytest.approx(wide[-100:], rel=0.01)
    assert narrow[100] == 0 and 0 < wide[100] < 1e-90
    # The smallest number on both pictures: one example whose square is the smallest denormal, over a batch of 100.
    _, published = published_curve("figure_1a", "gamma=1.00")
    smallest = np.sqrt(np.finfo(np.float32).smallest_subnormal) / 100
    assert narrow[narrow > 0].min() == pytest.approx(smallest, rel=1e-3)
    assert published.min() == pytest.approx(smallest, rel=1e-3)


def test_pixels_in_order_explode_without_noise():
    x, y = figure1a.image_batch(index_map="in_order")
    black = np.flatnonzero(x.any(axis=(1, 2)))[0]
    assert black > 50                                            # steps at which all states of the batch coincide
    norms = figure1a.gradient_norms(x, y, 0.1)
    # Each of these steps multiplies by gamma / sqrt(eps), since the variances are zero.
    assert norms[:black - 2] / norms[1:black - 1] == pytest.approx(0.1 / np.sqrt(1e-5), rel=1e-6)
    quiet = figure1a.gradient_norms(x, y, 0.1, noise=0.1)
    assert quiet.max() < 1.1 * quiet[-1]


# ---------------------------------------------------------------------- Figure 1(a), several seeds

RESULTS = Path(__file__).parents[1] / "notebooks" / "results" / "figure1a"


@pytest.fixture(scope="module")
def committed():
    return json.loads((RESULTS / "figure1a.json").read_text())


def test_committed_figure1a_has_the_published_shape(committed):
    """What the paper's figure claims, of the medians of at least five seeds."""
    assert len(committed["seed"]) >= 5 and committed["gamma"] == list(figure1a.GAMMAS)
    median = dict(zip(committed["gamma"], np.median(figure1a_seeds.ratios(committed), axis=0), strict=True))
    for gamma in (0.1, 0.2, 0.3):
        assert np.log10(0.02) < median[gamma] < np.log10(2)
    assert median[0.5] < np.log10(0.05) and median[0.6] < -6
    assert max(median[gamma] for gamma in (0.8, 0.9, 1.0)) < -20
    assert (np.diff(np.median(committed["slope"], axis=0)) > 0).all()


def test_committed_figure1a_is_what_this_code_computes(committed):
    again = figure1a_seeds.compute([committed["seed"][0]], gammas=(0.1, 0.7))
    columns = [committed["gamma"].index(gamma) for gamma in (0.1, 0.7)]
    assert again["t"] == committed["t"] and again["t"][-1] == 783
    # 0.01 is the rounding. Another NumPy may round a sum differently, which 784 steps amplify.
    difference = again["log10_norm"][0] - np.array(committed["log10_norm"])[0, columns]
    assert np.abs(difference[0]).max() <= 0.05 and np.median(np.abs(difference[1])) <= 0.5
    assert again["slope"][0] == pytest.approx(np.array(committed["slope"])[0, columns], abs=2e-3)


def test_seeds_of_another_batch_are_other_curves():
    numbers = figure1a_seeds.compute([2, 3], gammas=(0.1,))
    assert numbers["seed"] == [2, 3] and numbers["log10_norm"].shape == (2, 1, len(numbers["t"]))
    x, y = figure1a.image_batch(3)
    curve = np.log10(figure1a.gradient_norms(x, y, 0.1, rng=3))
    assert numbers["log10_norm"][1, 0] == pytest.approx(curve[numbers["t"]], abs=0.0051)
    assert numbers["slope"][1, 0] == pytest.approx((curve[783] - curve[733]) / 50, abs=6e-5)
    assert abs(numbers["log10_norm"][0] - numbers["log10_norm"][1]).max() > 0.1


@pytest.mark.parametrize("gamma, slope", [(0.1, 0.0074), (1.0, 0.209)])
def test_published_slopes(gamma, slope):
    assert figure1a_seeds.published_slope(gamma) == pytest.approx(slope, rel=0.01)


def test_figure1a_over_seeds_is_drawn_and_told(committed, tmp_path):
    lines = figure1a_seeds.table(committed).splitlines()
    assert len(lines) == 2 + len(figure1a.GAMMAS) and lines[0].startswith(f"{len(committed['seed'])} seeds")
    axes = []
    save_figure(tmp_path / "picture.png", lambda ax: (axes.append(ax), figure1a_seeds.plot(committed, ax)))
    median = 10 ** np.median(np.array(committed["log10_norm"])[:, 0], axis=0)
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), median)
    assert axes[0].lines[0].get_xdata().tolist() == committed["t"]
    assert len(axes[0].collections) == len(committed["gamma"])     # the bands


def test_lstm_curves_are_drawn_and_told(tmp_path):
    numbers = json.loads((RESULTS / "figure1a_lstm.json").read_text())
    assert numbers["series"][-1] is None and len(numbers["seed"]) >= 5
    lines = figure1a_seeds.table_lstm(numbers).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["BN-LSTM,"] * (len(lines) - 3) + ["LSTM"]
    axes = []
    save_figure(tmp_path / "picture.png", lambda ax: (axes.append(ax), figure1a_seeds.plot_lstm(numbers, ax, "c")))
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(),
                               10 ** np.median(np.array(numbers["log10_norm_c"])[:, 0], axis=0))


# ---------------------------------------------------------------------- Figure 2


def write_run(folder, points, **options):
    """A run folder as training leaves it, with these validation points."""
    start_run(folder, make_config(**options))
    with MetricsFile(folder / "metrics.jsonl") as metrics:
        for iteration, accuracy in points:
            metrics.write("train", iteration=iteration, loss=1.0, grad_norm=0.5, seconds=0.1)
            metrics.write("valid", iteration=iteration, loss=1.0, accuracy=accuracy, best=True, seconds=0.1)
    return folder


@pytest.fixture
def two_runs(tmp_path):
    options = {"task": "pmnist", "index_map": "authors_seed1"}
    return [write_run(tmp_path / "one", [(250, 0.25), (500, 0.5), (1000, 0.625)], model="bnlstm", **options),
            write_run(tmp_path / "two", [(500, 0.25)], model="lstm", **options)]


def test_figure2_reads_runs_and_groups_them(two_runs, tmp_path):
    subset = write_run(tmp_path / "three", [(25, 0.5)], preset="quick", task="mnist", model="lstm")
    numbers = figure2.compute([*two_runs, subset])
    assert [run["model"] for run in numbers] == ["bnlstm", "lstm", "lstm"]
    assert numbers[0]["iteration"].tolist() == [250, 500, 1000]
    assert numbers[0]["accuracy"].tolist() == [0.25, 0.5, 0.625]
    assert numbers[0]["made_with"]["minibn"]
    panels = figure2.panels(numbers)
    assert list(panels) == ["MNIST, 28x28, pixels by the authors' index map",
                            "5,000 MNIST images, 14x14, pixels in order"]
    assert [len(runs) for runs in panels.values()] == [2, 1]


def test_figure2_table_stands_beside_the_published_points(two_runs):
    assert figure2.table(figure2.compute(two_runs)).splitlines() == [
        "| iteration | BN-LSTM, ours | BN-LSTM, published | difference "
        "| LSTM, ours | LSTM, published | difference |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| 500 | 0.500 | 0.545 | -0.045 | 0.250 | 0.326 | -0.076 |",
        "| 1,000 | 0.625 | 0.656 | -0.031 |  | 0.477 |  |",
    ]


@pytest.mark.parametrize("options", [{"preset": "quick"}, {"index_map": "permutation"}, {"side": 14}])
def test_figure2_compares_only_what_is_comparable(options, tmp_path):
    runs = figure2.compute([write_run(tmp_path / "a", [(25, 0.5)], model="lstm", **options)])
    assert figure2.table(runs).splitlines()[0] == "| iteration | LSTM, ours |"
    assert figure2.table(runs).splitlines()[-1] == "| 25 | 0.500 |"


def test_figure2_needs_a_validation_record(tmp_path):
    write_run(tmp_path / "young", [], model="lstm")
    with pytest.raises(ValueError, match="no validation record yet"):
        figure2.compute([tmp_path / "young"])


# ---------------------------------------------------------------------- files


def test_numbers_become_json_and_back(tmp_path):
    numbers = {"a": np.array([[1 / 3, 2.0]]), "n": np.int64(3), "ok": True, "none": None, "pair": (1, 0.1)}
    write_numbers(tmp_path / "a.json", numbers)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": [[0.333333, 2.0]], "n": 3, "ok": True, "none": None, "pair": [1, 0.1]}
    write_numbers(tmp_path / "b.json", [numbers, numbers])
    assert len(json.loads((tmp_path / "b.json").read_text())) == 2
    with pytest.raises(ValueError):
        write_numbers(tmp_path / "c.json", {"a": np.array([np.nan])})


def test_pictures_need_no_window_and_no_pyplot(tmp_path):
    code = ("import sys; from minibn.studies.output import save_figure; "
            "assert 'matplotlib' not in sys.modules; "
            f"save_figure({str(tmp_path / 'a.png')!r}, lambda ax: ax.plot([0, 1]), lambda ax: None, size=(3, 2)); "
            "assert 'matplotlib.pyplot' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    # Two panels of 3 x 2 inches at 150 dots per inch.
    assert [int.from_bytes(content[i:i + 4], "big") for i in (16, 20)] == [900, 300]


def test_plots_show_the_numbers_that_were_saved(figure1a_numbers, two_runs, tmp_path):
    """What was written as JSON draws the same lines: our curve is the first of each plot."""
    for module, numbers, ours in (
        (figure1a, figure1a_numbers, figure1a_numbers["norm"][0]),
        (figure1b, figure1b.compute(sigmas=11, samples=20), None),
        (figure2, figure2.compute(two_runs), [0.25, 0.5, 0.625]),
    ):
        write_numbers(tmp_path / "numbers.json", numbers)
        axes = []
        def draw(ax, module=module, axes=axes):
            axes.append(ax)
            module.plot(json.loads((tmp_path / "numbers.json").read_text()), ax)

        save_figure(tmp_path / "picture.png", draw)
        drawn = axes[0].lines[0].get_ydata()
        np.testing.assert_allclose(drawn, numbers["mean"] if ours is None else ours, rtol=1e-5)


def test_reproduce_writes_picture_and_numbers(tmp_path, two_runs):
    text = reproduce("figure1b", tmp_path / "out")
    assert "0.9902" in text and str(tmp_path / "out" / "figure1b.png") in text
    assert len(json.loads((tmp_path / "out" / "figure1b.json").read_text())["sigma"]) == figure1b.SIGMAS
    text = reproduce("figure2", tmp_path / "out", runs=two_runs)
    assert (tmp_path / "out" / "figure2.md").read_text().strip() in text
    assert (tmp_path / "out" / "figure2.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("arguments, words", [
    ({"name": "figure7"}, "name: expected one of figure1a"),
    ({"name": "figure2"}, "name their folders"),
    ({"name": "figure1b", "runs": ["somewhere"]}, "no other figure"),
    ({"name": "figure1b", "seeds": 5}, "got 5 for figure1b"),
    ({"name": "figure1a", "seeds": 0}, "got 0 for figure1a"),
])
def test_reproduce_refuses(arguments, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        reproduce(output=tmp_path / "none", **arguments)
    assert not (tmp_path / "none").exists()


# ---------------------------------------------------------------------- the page and the demo


class Page(HTMLParser):
    """Collects the tags of a page, and fails where they do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def assert_self_contained(text):
    tags = Page(text).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "iframe", "object"}
    sources = [value for _, attributes in tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "url(" not in text and "@import" not in text
    return len(sources)


def test_page_is_self_contained_and_escapes(tmp_path):
    save_figure(tmp_path / "a.png", lambda ax: None, size=(1, 1))
    page.write_page(tmp_path / "p.html", title="a < b & c", lead="<lead>", footer="<footer>", sections=[
        ("<h>", [page.paragraph("<p>"), page.terminal_text("max|a| < 1"), page.cards([("<1>", "<what>")]),
                 page.picture(tmp_path / "a.png", 'a "quoted" picture', "<caption>"),
                 page.table(("<a>", "b"), [("<1>", "2")])])])
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert assert_self_contained(text) == 1
    assert "a &lt; b &amp; c" in text and "<lead>" not in text and "<caption>" not in text


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "demo"
    demo.run_demo(folder, iterations=2, hidden=4, progress="none")
    return folder


def test_demo_leaves_everything_it_promises(demo_folder):
    text = (demo_folder / "index.html").read_text(encoding="utf-8")
    assert assert_self_contained(text) == 3
    for name in ("figure1a", "figure1b", "learning_curves"):
        assert (demo_folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert json.loads((demo_folder / f"{name}.json").read_text())
    numbers = json.loads((demo_folder / "demo.json").read_text())
    assert numbers["gradients_ok"] is True
    for name, model in demo.MODELS.items():
        accuracy = numbers["test_accuracy"][name]
        assert f"{accuracy:.1%}" in text
        trained = load(demo_folder / model)
        assert trained.model.cell.hidden_size == 4
        assert bool(trained.statistics) == (model == "bnlstm")


def test_demo_starts_afresh_where_there_was_one(demo_folder, tmp_path):
    earlier = shutil.copytree(demo_folder, tmp_path / "earlier")
    (earlier / "lstm" / "notes.txt").write_text("keep me")
    demo._make_room(earlier, [earlier / "lstm"])
    assert [entry.name for entry in (earlier / "lstm").iterdir()] == ["notes.txt"]
    start_run(earlier / "lstm", make_config("quick"))      # refuses a folder with a run in it


def test_demo_keeps_out_of_other_folders(tmp_path):
    (tmp_path / "index.html").write_text("somebody's page")
    with pytest.raises(ValueError, match="name another folder"):
        demo.run_demo(tmp_path, progress="none")
    assert [entry.name for entry in tmp_path.iterdir()] == ["index.html"]


def test_demo_page_says_when_a_gradient_is_wrong(demo_folder, tmp_path):
    numbers = {**json.loads((demo_folder / "demo.json").read_text()), "gradients_ok": False}
    figures = {"figure1a": "", "figure1b": ""}
    configs = {name: make_config("quick", model=model) for name, model in demo.MODELS.items()}
    folder = shutil.copytree(demo_folder, tmp_path / "demo")
    demo._write_page(folder, numbers, "1 of 57 checks went wrong", configs, figures)
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "<b>FAILED</b>" in text and "1 of 57 checks went wrong" in text and "all pass" not in text
