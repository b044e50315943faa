"""A notebook in real JupyterLab, in a headless Chromium: run from top to bottom, its trace slider moved and played."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "03_lstm.ipynb"
NEEDED = ("jupyterlab", "ipykernel", "ipywidgets", "websocket")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
    MISSING.append("Chromium")
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
              pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for Chromium as Linux has it")]

PANEL = "jupyterapp.shell.currentWidget"
# Cells that are scrolled away are not in the page, so what they put out is read from the notebook's model.
CODE_CELLS = f"""{PANEL}.content.widgets.filter(cell => cell.model.type === 'code').map(cell => ({{
    count: cell.model.executionCount, outputs: cell.model.outputs.toJSON()}}))"""
FIND_SLIDER = f"""(() => {{
    const cells = {PANEL}.content.widgets;
    const index = cells.findIndex(cell => cell.model.type === 'code' && cell.model.outputs.toJSON().some(
        output => output.data && 'application/vnd.jupyter.widget-view+json' in output.data));
    {PANEL}.content.scrollToItem(index, 'start');
    return !!document.querySelector('.widget-htmlmath .mbn mjx-container') && !!document.querySelector('.noUi-handle');
}})()"""
TABLE = "document.querySelector('.widget-htmlmath .mbn')"
HEADING = f"{TABLE}.querySelector('.h b').innerText"
PLAY = "document.querySelectorAll('.widget-play')[{}].querySelector('button').click()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The notebook without its outputs, and with one more cell, a slider over what it traces last."""
    folder = tmp_path_factory.mktemp("notebooks")
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    notebook["cells"].append({"cell_type": "code", "id": "slider", "metadata": {}, "execution_count": None,
                              "outputs": [], "source": "trace.show(t=1)"})
    notebook["metadata"].pop("widgets", None)
    (folder / NOTEBOOK.name).write_text(json.dumps(notebook), encoding="utf-8")
    return folder


def test_a_notebook_runs_and_its_slider_moves(folder, tmp_path):
    from browser import chromium, jupyterlab, wait_for

    with jupyterlab(folder, tmp_path) as lab, chromium(f"{lab}/tree/{NOTEBOOK.name}", tmp_path) as page:
        wait_for("the notebook", lambda: page.run(f"!!window.jupyterapp && !!{PANEL} && !!{PANEL}.sessionContext"))
        wait_for("its kernel", lambda: page.run(f"{PANEL}.sessionContext.session?.kernel?.status") == "idle")
        page.run("void jupyterapp.commands.execute('application:toggle-left-area')")
        page.run("void jupyterapp.commands.execute('notebook:run-all-cells')")
        wait_for("all cells", lambda: all(cell["count"] for cell in page.run(CODE_CELLS)))
        wait_for("the last cell", lambda: page.run(f"{PANEL}.sessionContext.session.kernel.status") == "idle")
        cells = page.run(CODE_CELLS)
        assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
        wrong = [output for cell in cells for output in cell["outputs"]
                 if output["output_type"] == "error" or output.get("name") == "stderr"]
        assert wrong == []

        wait_for("the slider, its formulas typeset", lambda: page.run(FIND_SLIDER))
        first, heading, formulas = page.run(f"{TABLE}.innerHTML"), page.run(HEADING), page.run(
            f"{TABLE}.querySelectorAll('mjx-container').length")
        assert formulas > 3
        page.screenshot(tmp_path / "before.png")
        page.run("document.querySelector('.noUi-handle').focus()")
        key = ("ArrowLeft", 37) if page.run("document.querySelector('.noUi-handle').ariaValueNow") != "0.0" else (
            "ArrowRight", 39)
        page.press(*key)
        wait_for("another step", lambda: page.run(HEADING) != heading)
        wait_for("its formulas", lambda: page.run(f"{TABLE}.querySelectorAll('mjx-container').length") == formulas)
        assert page.run(f"{TABLE}.innerHTML") != first
        page.screenshot(tmp_path / "after.png")
        assert (tmp_path / "after.png").read_bytes() != (tmp_path / "before.png").read_bytes()

        page.run("document.querySelector('.noUi-handle').focus()")
        page.press("Home", 36)
        wait_for("step 0", lambda: "t = 0" in page.run(HEADING))
        page.run(PLAY.format(0))
        wait_for("the forward pass", lambda: page.run(f"{TABLE}.matches('.w')") and "t = 1" in page.run(HEADING))
        page.run(PLAY.format(1))
        wait_for("the way back", lambda: not page.run(f"{TABLE}.matches('.w')") and "t = 0" in page.run(HEADING))
