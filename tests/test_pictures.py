"""The pictures: their numbers say what their titles claim, they draw on the axes they are given, and their files."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from minibn.cells import CELLS
from minibn.equations.batch_norm import batch_norm_backward, batch_norm_forward
from minibn.pictures import (
    PICTURES,
    captions,
    gradient_by_gamma,
    graph,
    jacobian,
    mixing,
    population,
    projection,
    ridge,
    saturation,
    write,
)
from minibn.pictures.__main__ import main
from minibn.pictures.formula import pieces
from minibn.pictures.made_of import made_of
from minibn.pictures.movement import slider
from minibn.studies.figure1a import image_batch
from minibn.studies.output import save_figure

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
SVG, XHTML = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xhtml}"
FILE_BYTES, ALL_BYTES = 300 * 1024, 2 * 2**20


@pytest.fixture(scope="module")
def numbers():
    """What each picture draws, some of it smaller than in the gallery."""
    return {
        "gradient_by_gamma": gradient_by_gamma.compute(gammas=(0.1, 0.7, 1.0), hidden=20, batch=20),
        "mixing": mixing.compute(),
        "jacobian": jacobian.compute(gammas=(0.1, 1.0, 2.0)),
        "ridge": ridge.compute(hidden=20, batch=80),
        "saturation": saturation.compute(gammas=(0.1, 0.5, 1.0), hidden=20),
        "projection": projection.compute(),
        "graph": graph.compute(),
        "population": population.compute(),
    }


# --- the claims


def test_a_small_gamma_has_the_larger_gradient_at_the_first_step(numbers):
    norm = numbers["gradient_by_gamma"]["norm"]
    assert norm[0, 0] > 1e-3 > 1e-6 > norm[1, 0] > norm[2, 0]
    assert numbers["gradient_by_gamma"]["t"][-1] == 783
    assert (norm[:, -1] == 1).all()


def test_batch_norm_mixes_the_examples_and_the_lstm_does_not(numbers):
    off = ~np.eye(mixing.N, dtype=bool)
    lstm, bn_lstm = numbers["mixing"]["LSTM"], numbers["mixing"]["BN-LSTM"]
    assert (lstm[:, off] == 0).all() and (lstm[:, ~off] > 0).all()
    assert (bn_lstm[-1][off] == 0).all()            # h_T itself: everybody's loss is his own
    assert (bn_lstm[:-1] > 0).all()                 # one step earlier it is not


@pytest.mark.parametrize("gamma", [0.1, 1.5])
def test_the_jacobian_is_that_of_finite_differences(gamma):
    from minibn.cells import bn_rnn

    step, little = jacobian.settled_step(gamma), 1e-6
    names = ("x_term", "W_h", "gamma", "b", "eps")
    given = {name: getattr(step, name) for name in names}

    def h_after(h_prev):
        return bn_rnn.CELL.forward(h_prev=h_prev, **given).h.ravel()

    columns = []
    for k in range(step.h_prev.size):
        move = little * (np.arange(step.h_prev.size) == k).reshape(step.h_prev.shape)
        columns.append((h_after(step.h_prev + move) - h_after(step.h_prev - move)) / (2 * little))
    by_hand = np.array(columns).T
    ours = jacobian.step_jacobian(step)
    assert np.abs(ours - by_hand).max() < 1e-6
    assert np.abs(np.linalg.svd(ours)[1] - np.linalg.svd(by_hand)[1]).max() < 1e-6


def test_singular_values_are_near_one_at_a_small_gamma_only(numbers):
    singular, left = numbers["jacobian"]["singular"], (jacobian.N - 2) * jacobian.H
    assert singular[0, 0] < 1.15 and singular[0, left - 1] > 0.85
    spread = singular[:, 0] / singular[:, left - 1]
    assert spread[0] < spread[1] < spread[2] and spread[2] > 10
    assert singular[:, left:].max() < 0.05          # two directions of each unit; what is left there comes from eps


def test_normalized_activations_are_sharp_first_and_settle(numbers):
    distance = numbers["ridge"]["distance"]
    assert distance[0] > 0.9 and distance[1] > 2 * distance[20]
    assert distance[ridge.SETTLED:].max() < 0.15
    shares = numbers["ridge"]["density"] * np.diff(numbers["ridge"]["edges"])
    assert np.allclose(shares.sum(axis=1), 1)


def test_saturation_grows_with_gamma_and_begins_at_the_forget_gate(numbers):
    mean = {gate: numbers["saturation"][gate].mean(axis=1) for gate in saturation.SLOPES}
    assert all(share[0] < 1e-4 for share in mean.values())
    assert all((np.diff(share) >= 0).all() and share[-1] > 0.05 for share in mean.values())
    assert all(mean["f"][1] > 2 * mean[gate][1] for gate in mean if gate != "f")
    ink = (image_batch(saturation.SEED, saturation.BATCH, side=14)[0] > 0.1).mean(axis=(1, 2))     # (T,)
    assert all(np.corrcoef(ink, numbers["saturation"][gate][2])[0, 1] > 0.6 for gate in "fiog")     # the stripes


def test_three_paths_add_up_to_a_projection(numbers):
    paths = numbers["projection"]
    _, cache = batch_norm_forward(np.array(projection.A)[:, None], np.ones(1), 0.0, projection.EPS)
    da = batch_norm_backward(np.array(projection.DY)[:, None], cache).a[:, 0]
    assert np.abs(paths["direct"] + paths["mean"] + paths["variance"] - da).max() < 1e-12
    assert np.array_equal(paths["da"], da)
    assert abs(da.sum()) < 1e-12 and abs(da @ paths["hat"]) < 1e-11
    assert np.ptp(paths["mean"]) < 1e-15                                # along (1, 1, 1)
    assert np.abs(np.cross(paths["variance"], paths["hat"])).max() < 1e-12
    assert np.allclose(paths["axes"] @ paths["axes"].T, np.eye(3))


def test_the_first_steps_are_far_from_the_average_over_time(numbers):
    found = numbers["population"]
    for term in population.TERMS:
        assert np.allclose(found[term].mean(axis=0), found[f"{term}_average"])
    assert found["h"][0].max() < 1e-20                                  # all start from one h_0
    off = np.abs(np.log(found["c"] / found["c_average"]))
    assert np.median(off[0]) > np.log(5) > np.log(1.5) > np.median(off[50:])


# --- the graph


def test_the_graph_contains_every_quantity_and_is_well_formed(numbers):
    text = graph.svg(numbers["graph"])
    root = ET.fromstring(text)
    written = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    for name in CELLS["bnlstm"].quantities:
        assert name in written and any(words.startswith(f"{name}, Eq. (") for words in written)
    nodes = [group for group in root.iter(f"{SVG}g") if group.get("class") == "node"]
    assert len(nodes) == len(CELLS["bnlstm"].quantities)
    assert not list(root.iter(f"{SVG}script")) and "onclick" not in text


def test_the_graph_escapes_what_it_writes(numbers):
    title = "<b>&\"'"
    root = ET.fromstring(graph.svg({**numbers["graph"], "title": title}))
    assert root.find(f"{SVG}title").text.startswith(title)


def test_what_a_quantity_is_made_of():
    edges = made_of(CELLS["bnlstm"])
    assert edges["c"] == ("c_prev", "f", "i", "g") and edges["h"] == ("o", "tanh_c")
    assert edges["h_hat"] == ("h_linear", "h_mean", "h_inv_std")        # the three paths
    assert edges["g_tilde"] == ("x_term", "h_term")                     # past `tilde`, which is no quantity
    assert edges["x_term"] == edges["h_prev"] == edges["c_prev"] == ()


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_has_a_graph(name):
    edges = made_of(CELLS[name])
    assert list(edges) == list(CELLS[name].quantities)
    outside = {"x_term", *(f"{state}_prev" for state in CELLS[name].states)}
    assert {quantity for quantity, sources in edges.items() if not sources} <= outside


def test_formulas_keep_no_backslash():
    for cell in CELLS.values():
        for name, quantity in cell.quantities.items():
            words = "".join(piece for _, piece in pieces(quantity.latex))
            assert not set(words) & set("\\{}_^"), (name, words)
    assert pieces(r"\sigma(\tilde{f}_t)") == [("", "σ(f̃"), ("_", "t"), ("", ")")]


# --- drawing and files


@pytest.mark.parametrize("name", [name for name, picture in PICTURES.items() if picture.panels])
def test_panels_draw_on_the_given_axes(numbers, name, tmp_path):
    axes = []
    panels = PICTURES[name].panels(numbers[name])
    save_figure(tmp_path / "picture.png", *(lambda ax, draw=draw: (axes.append(ax), draw(ax)) for draw in panels),
                size=(4, 4), columns=PICTURES[name].columns, dpi=40)
    assert len(axes) == len(panels)
    for ax in axes:
        assert ax.get_xlabel() and ax.get_ylabel() and (ax.lines or ax.images or ax.collections)


@pytest.mark.parametrize(("module", "options"), [(gradient_by_gamma, {"at": 1.0}), (mixing, {"cell": "LSTM"}),
                                                 (jacobian, {"gamma": 2.0, "spectrum": True})])
def test_a_moving_picture_can_be_drawn_at_any_frame(numbers, module, options, tmp_path):
    data = numbers[module.PICTURE.name]
    save_figure(tmp_path / "picture.png", lambda ax: module.plot(data, ax, **options), size=(3, 2), dpi=40)


def test_a_picture_that_moves_has_three_files(numbers, tmp_path):
    from PIL import Image

    files = write(PICTURES["gradient_by_gamma"], tmp_path, numbers["gradient_by_gamma"])
    assert [path.name.removeprefix("gradient_by_gamma") for path in files] == [".png", ".gif", "_slider.svg"]
    with Image.open(files[1]) as movie:
        assert movie.n_frames == 3


def test_a_slider_shows_one_of_all_frames(numbers):
    movement = PICTURES["jacobian"].movement(numbers["jacobian"])
    root = ET.fromstring(slider(movement, size=(3, 2.5)))
    frames = [element for element in root.iter() if element.get("id", "").startswith("frame-")]
    assert {frame.get("id").split("-")[1] for frame in frames} == {"0", "1", "2"}
    assert {frame.get("id").split("-")[1] for frame in frames if frame.get("display") != "none"} == {"0"}
    [knob] = root.iter(f"{XHTML}input")
    assert knob.get("max") == "2" and knob.get("value") == "0" and knob.get("aria-label") == "from γ = 0.1 to γ = 2.0"
    assert not list(root.iter(f"{SVG}script"))


def test_the_command_writes_the_pictures_named(tmp_path, capsys):
    main([str(tmp_path), "graph", "projection"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.json", "graph.svg", "projection.png"]
    assert "KiB" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(tmp_path), "nothing"])


def test_the_gallery_is_small_and_captioned():
    named = json.loads((GALLERY / "captions.json").read_text(encoding="utf-8"))
    assert named == captions("docs/gallery")
    sizes = {path.name: path.stat().st_size for path in GALLERY.iterdir()}
    assert set(sizes) == {*named, "captions.json"}
    assert max(sizes.values()) <= FILE_BYTES and sum(sizes.values()) <= ALL_BYTES
    for caption in named.values():
        assert (GALLERY.parents[1] / "notebooks" / caption["notebook"]).exists()
        assert len(caption["title"]) < 90 and caption["claim"].endswith(".")
