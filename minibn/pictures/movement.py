"""How a picture moves: its frames as one GIF, or as one SVG file with a slider. No library, no file beside it.

A GIF is seen everywhere, in every notebook viewer. The slider is for pages and for Jupyter: all frames stand in the
one file, and moving the slider shows one of them. Where a viewer runs no script, the still frame remains.
"""

import xml.etree.ElementTree as ET
from functools import partial
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template

import numpy as np

from minibn.studies.output import save_figure

__all__ = ["write_gif", "write_slider"]

GIF_DPI = 72
COLORS = 64             # of a GIF's palette
MILLISECONDS = 220      # a frame
PAUSE = 5               # so many frames long the last one stays
BAR = 34                # height of the slider, in the units of the SVG
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
# Written out: as a part of an HTML page its elements must have no prefix.
KNOB = Template("""<foreignObject x="0" y="$top" width="$width" height="$height">
<div xmlns="http://www.w3.org/1999/xhtml" style="display:flex;gap:8px;font:11px sans-serif;padding:4px 12px">
<span>$first_label</span>
<input type="range" min="0" max="$last" value="$still" style="flex:1" aria-label="from $first_label to $last_label"
oninput="for (const g of this.closest('svg').querySelectorAll('[id^=frame-]'))
g.style.display = g.id.split('-')[1] == this.value ? 'inline' : 'none'"/>
<span>$last_label</span></div></foreignObject>""")


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
    # Of every colour one pixel: the white around the picture must not take the places of the others.
    every = sorted({color for frame in frames for _, color in frame.getcolors(frame.width * frame.height)})
    palette = Image.fromarray(np.array([every], dtype=np.uint8)).quantize(COLORS, method=Image.Quantize.MAXCOVERAGE)
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
    for prefix, address in (("", SVG), ("xlink", XLINK)):
        ET.register_namespace(prefix, address)
    root = ET.fromstring(content.getvalue())
    root.remove(root.find(f"{{{SVG}}}metadata"))
    for element in root.iter():                     # an attribute, not a style sheet, which would rule a whole page
        if element.get("id", "").startswith("frame-") and element.get("id").split("-")[1] != str(movement.still):
            element.set("display", "none")
    _, _, width, height = map(float, root.get("viewBox").split())
    root.set("viewBox", f"0 0 {width:g} {height + BAR:g}")
    root.set("width", "100%")
    root.set("style", f"max-width:{1.3 * width:.0f}px;background:white")
    del root.attrib["height"]
    knob = KNOB.substitute(top=f"{height:g}", width=f"{width:g}", height=BAR, last=len(movement.labels) - 1,
                           still=movement.still, first_label=escape(movement.labels[0]),
                           last_label=escape(movement.labels[-1]))
    return ET.tostring(root, encoding="unicode").removesuffix("</svg>") + knob + "</svg>\n"


def _all_frames(ax, movement, panel):
    """What stays, once, and what moves, with the number of its frame in front of its id."""
    backdrop, frame = movement.panels[panel]
    backdrop(ax)
    for k in range(len(movement.labels)):
        for place, artist in enumerate(frame(ax, k)):
            artist.set_gid(f"frame-{k}-{panel}-{place}")
