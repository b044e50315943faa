"""How a picture moves: its frames as one GIF, or as one SVG file with a slider. No library, no file beside it.

A GIF is seen everywhere, in every notebook viewer. The slider is for pages and for Jupyter: all frames stand in the
one file, and moving the slider shows one of them. Where a viewer runs no script, the still frame remains.
"""

import xml.etree.ElementTree as ET
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np

from minibn.studies.output import save_figure

__all__ = ["write_gif", "write_slider"]

GIF_DPI = 72
COLORS = 32             # of a GIF's palette
MILLISECONDS = 220      # a frame
PAUSE = 5               # so many frames long the last one stays
BAR = 34                # height of the slider, in the units of the SVG
SVG, XHTML, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "http://www.w3.org/1999/xlink"
SHOW = ("this.closest('svg').querySelectorAll('[id^=frame-]').forEach("
        "g => g.style.display = g.id.split('-')[1] == this.value ? 'inline' : 'none')")


def write_gif(path, movement, **layout):
    """Write the frames one after the other, in a palette of a few colours that all of them share.

    Parameters
    ----------
    path : str or Path
    movement : Movement
    **layout
        Of `minibn.studies.output.save_figure`: ``size``, ``columns``, ``widths``, ``title``.
    """
    from PIL import Image

    frames = []
    for k in range(len(movement.labels)):
        picture = BytesIO()
        save_figure(picture, *(partial(movement.draw, panel=panel, k=k) for panel in range(len(movement.panels))),
                    dpi=GIF_DPI, **layout)
        frames.append(Image.open(picture).convert("RGB"))
    every = Image.fromarray(np.concatenate([np.asarray(frame)[::2, ::2] for frame in frames]))
    palette = every.quantize(COLORS)
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    first.save(path, format="GIF", save_all=True, append_images=rest, loop=0, optimize=True,
               duration=[MILLISECONDS] * len(rest) + [PAUSE * MILLISECONDS])


def write_slider(path, movement, **layout):
    """Write all frames into one SVG file, with a slider below them; parameters as for `write_gif`."""
    Path(path).write_text(slider(movement, **layout), encoding="utf-8")


def slider(movement, **layout):
    """The text of that file; it may also stand in the middle of an HTML page."""
    content = BytesIO()
    panels = [partial(_all_frames, movement=movement, panel=panel) for panel in range(len(movement.panels))]
    save_figure(content, *panels, format="svg", metadata={"Date": None}, **layout)
    for prefix, address in (("", SVG), ("xlink", XLINK), ("h", XHTML)):
        ET.register_namespace(prefix, address)
    root = ET.fromstring(content.getvalue())
    root.remove(root.find(f"{{{SVG}}}metadata"))
    _, _, width, height = map(float, root.get("viewBox").split())
    root.set("viewBox", f"0 0 {width:g} {height + BAR:g}")
    root.set("width", "100%")
    root.set("style", f"max-width:{1.3 * width:.0f}px;background:white")
    del root.attrib["height"]
    ET.SubElement(root, f"{{{SVG}}}style").text = (
        f'[id^="frame-"]:not([id^="frame-{movement.still}-"]){{display:none}}')
    bar = ET.SubElement(root, f"{{{SVG}}}foreignObject", x="0", y=f"{height:g}", width=f"{width:g}", height=f"{BAR}")
    first, last = movement.labels[0], movement.labels[-1]
    line = ET.SubElement(bar, f"{{{XHTML}}}div", style="display:flex;gap:8px;font:11px sans-serif;padding:4px 12px")
    ET.SubElement(line, f"{{{XHTML}}}span").text = first
    ET.SubElement(line, f"{{{XHTML}}}input", {
        "type": "range", "min": "0", "max": str(len(movement.labels) - 1), "value": str(movement.still),
        "style": "flex:1", "aria-label": f"from {first} to {last}", "oninput": SHOW})
    ET.SubElement(line, f"{{{XHTML}}}span").text = last
    return ET.tostring(root, encoding="unicode")


def _all_frames(ax, movement, panel):
    """What stays, once, and what moves, with the number of its frame in front of its id."""
    backdrop, frame = movement.panels[panel]
    backdrop(ax)
    for k in range(len(movement.labels)):
        for place, artist in enumerate(frame(ax, k)):
            artist.set_gid(f"frame-{k}-{panel}-{place}")
