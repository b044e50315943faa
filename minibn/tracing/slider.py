"""A slider over the time steps of a trace: the forward pass played forward, back-propagation played backward.

The only module that uses ipywidgets, which is optional: without it, the steps stand below each other, folded.
"""

from html import escape

from minibn.tracing.html import STYLE, step_html

INTERVAL = 1500         # milliseconds a step, when playing
UNFOLDED = 12           # at most so many steps are written out where there are no widgets
WIDGET = "application/vnd.jupyter.widget-view+json"


def show(trace, names, t):
    """Display the steps of `trace` in Jupyter; elsewhere, print step `t`."""
    if not _in_jupyter():
        print(trace.at(t, names))
        return
    from IPython.display import HTML, display
    try:
        import ipywidgets
    except ImportError:
        display(HTML(static_html(trace, names)))
        return
    widget = slider(ipywidgets, trace, names, t)
    # A page without widgets (a notebook that is only read) still has the first step to show.
    display({WIDGET: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id},
             "text/html": trace.at(t, names)._repr_html_(), "text/plain": repr(trace)}, raw=True)


def _in_jupyter():
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return type(get_ipython()).__name__ not in ("NoneType", "TerminalInteractiveShell")


def slider(ipywidgets, trace, names, t):
    """The widget: two play buttons, a slider, and the table of the step.

    While the forward pass is played the gradients are dimmed: they are not known yet.
    """
    last = len(trace) - 1
    label, layout = ipywidgets.HTML, ipywidgets.Layout
    time = ipywidgets.IntSlider(value=trace.at(t).t, max=last, description="step t", layout=layout(width="420px"))
    # A play button counts upwards; the backward one counts the steps from the end.
    forward = ipywidgets.Play(max=last, interval=INTERVAL, value=time.value, show_repeat=False)
    backward = ipywidgets.Play(max=last, interval=INTERVAL, value=last - time.value, show_repeat=False)
    table = ipywidgets.HTMLMath(layout=layout(max_height="720px", overflow="auto"))

    dimmed = False

    def draw(change=None):
        forward.value, backward.value = time.value, last - time.value
        table.value = step_html(trace.at(time.value, names), dimmed)

    def play(step, forward_pass):
        nonlocal dimmed
        if step != time.value:              # else it only follows the slider
            dimmed = forward_pass
            time.value = step
            dimmed = False

    time.observe(draw, "value")
    forward.observe(lambda change: play(change.new, True), "value")
    backward.observe(lambda change: play(last - change.new, False), "value")
    _one_at_a_time(forward, backward)
    draw()
    controls = ipywidgets.HBox([label("<b>forward pass</b>&nbsp;"), forward,
                                label("&emsp;<b>back through time</b>&nbsp;"), backward, time],
                               layout=layout(flex_flow="row wrap", align_items="center"))
    return ipywidgets.VBox([controls, table])


def _one_at_a_time(*players):
    """Starting one play button pauses the other."""
    playing = "playing" if players[0].has_trait("playing") else "_playing"          # so called before ipywidgets 8

    def pause_others(change):
        for other in players:
            if change.new and other is not change.owner:
                setattr(other, playing, False)

    for player in players:
        player.observe(pause_others, playing)


def static_html(trace, names):
    """The steps below each other, the first one unfolded."""
    T = len(trace)
    steps = "".join(
        f"<details{' open' if t == 0 else ''}><summary>step <i>t</i> = {t}</summary>"
        f"{step_html(trace.at(t, names)).removeprefix(STYLE)}</details>" for t in range(min(T, UNFOLDED)))
    rest = f" These are the first {UNFOLDED} of {T} steps, trace.at(t) shows any." if T > UNFOLDED else ""
    return (f"{STYLE}<p>{escape(trace.title)}. Click on a step to unfold it (with ipywidgets installed there is a "
            f"slider here).{rest}</p>{steps}")
