"""Rows that are made by rule from the lines of a cell's step: what is left out, doubled up or exchanged.

Whatever a line of a step computes reaches some parameter, state or the input term, so that each of these is wrong
somewhere. The sentences say what the rule did, with the names of the line.
"""

import ast

from minibn.labs.mistakes.row import Table

SLOPES = {"dtanh": "dsigmoid", "dsigmoid": "dtanh"}
CURVES = {"tanh": "sigmoid", "sigmoid": "tanh"}
NEUTRAL = {"gamma": "1.0", "beta": "0.0", "eps": "0.0"}
WITHOUT = {"gamma": "Without it the normalized term has another size.",
           "beta": "Without it the normalized term has another offset.",
           "eps": "Without it nothing keeps the root away from zero."}


def rows_of_step(declaration, check):
    """The rows of a cell's backward step. `check` names the test that sees them."""
    return _rows(declaration, "step_backward", check, _backward_edits)


def rows_of_forward(declaration, check):
    """The rows of a cell's forward step."""
    return _rows(declaration, "step_forward", check, _forward_edits)


def _rows(declaration, name, check, edits_of):
    table = Table(declaration.module, getattr(declaration, name), "", check)
    alike = _alike(declaration, table.source)
    for line in table.source.lines:
        equation = _equation(table.source, line.first, declaration)
        [node] = ast.parse(line.text).body
        if not isinstance(node, ast.Assign):
            continue
        target = " and ".join(line.names)
        for part, new, kind, title, explanation, *seen_by in edits_of(line.text, node.value, target, alike, table):
            edited = line.text[:part.col_offset] + new + line.text[part.end_col_offset:]
            if title in (row.title for row in table.rows):
                title += ", second place"
            inputs = {"check": check.replace("step, minibatch", seen_by[0])} if seen_by else {}
            table.put(line.text, edited, kind, title, explanation, equation=equation, **inputs)
        alike |= _after(line.text, alike)
    return table.rows


def _equation(source, first, declaration):
    """The equation of a line: the nearest comment above it that says one, or else that of the cell's output."""
    for text in reversed(source.text.splitlines()[:first]):
        if text.strip().startswith("# Eq."):
            return text.strip("# ").split("(")[0].strip()
    return f"Eq. {next(reversed(declaration.quantities.values())).equation}"


def _alike(declaration, source):
    """Name -> another of the same shape that could stand in its place."""
    axes = {name: quantity.axes for name, quantity in declaration.quantities.items()}
    names = [name for name in source.arguments if name in axes]
    others = {name: same[same.index(name) - 1] for name in names
              if len(same := [other for other in names if axes[other] == axes[name]]) > 1}
    alike = {"quantity": others, "axes": axes, "gradients": {}}
    for name in declaration.states:
        alike |= _after(f"d{name} = d{name}", alike)
    return alike


def _after(line, alike):
    """The gradients after one more line, name -> what was computed for it, and for each another with another value."""
    name, _, value = line.partition(" = ")
    gradients = {**alike["gradients"], name: alike["gradients"].get(value, value)}
    axes = alike["axes"]
    others = {name: same[0] for name in gradients if name[1:] in axes
              and (same := [other for other in gradients if gradients[other] != gradients[name]
                            and axes.get(other[1:]) == axes[name[1:]]])}
    return {"gradients": gradients, "gradient": others}


def _backward_edits(line, value, target, alike, table):
    """(node, new text, kind, title, explanation) of one line of a backward step."""
    of = _plain(target)
    yield from _zeros(value, target, of, line)
    yield from _operands(value, target, of, line)
    for node in ast.walk(value):
        if isinstance(node, ast.Attribute) and node.attr == "sum":
            yield (node, _text(line, node)[:-len("sum")] + "mean", "a sum or a mean", f"{target} is a mean",
                   f"You averaged over the batch in {target}. All examples share {of}, so their parts of the gradient "
                   f"add up. If the loss is a mean, what arrives holds the 1/N already. Look at how the examples are "
                   f"collected.")
        if isinstance(node, ast.Name) and node.id in SLOPES and SLOPES[node.id] in table.source.original.__globals__:
            used, right = ("sigma'", "tanh'") if node.id == "dtanh" else ("tanh'", "sigma'")
            yield (node, SLOPES[node.id], "the derivative", f"{used} for {right} in {target}",
                   f"You took the slope of the {'sigmoid' if node.id == 'dtanh' else 'tanh'} for {of}. The forward "
                   f"pass uses the other nonlinearity there. Look at which one {of} goes into.")
        other = isinstance(node, ast.Name) and {**alike["quantity"], **alike["gradient"]}.get(node.id)
        if other:
            yield (node, other, "the wrong quantity", f"{other} for {node.id} in {target}",
                   f"You used {other} where {target} {_verb(target, 'need')} another quantity of the same shape. "
                   f"{_why(node.id, line)} {_look(target, of, value)}")
        if isinstance(node, ast.Attribute) and node.attr in ("gamma", "beta"):
            other = "beta" if node.attr == "gamma" else "gamma"
            yield (node, f"{node.value.id}.{other}", "the wrong quantity",
                   f"gradient of {other} for {node.attr} from {node.value.id}",
                   f"You took the gradient of {other} of a batch norm for that of {node.attr}. One of them is a sum "
                   f"of the upstream gradient alone, the other is weighted with the normalized value. Look at which "
                   f"is which in Eq. 5.")
        if isinstance(node, ast.Attribute) and node.attr == "a":
            yield (node, f"({node.value.id}.hat * {node.value.id[1:]}.inv_std)", "a missing part",
                   f"statistics of {node.value.id[1:]} taken as constants",
                   "You passed the gradient through the normalization as if mean and variance were constants. They "
                   "are computed from the same batch, so every example moves them (Eq. 5). Look at the paths through "
                   "the mean and through the variance.")


def _forward_edits(line, value, target, alike, table):
    """Likewise of a forward step."""
    if isinstance(value, ast.Call) and value.func.id == "split":
        return
    quantities = {**alike["quantity"]}
    yield from _forward_operands(value, target, line)
    for node in sorted(ast.walk(value), key=lambda node: getattr(node, "col_offset", -1)):
        if isinstance(node, ast.Name) and node.id in CURVES and CURVES[node.id] in table.source.original.__globals__:
            yield (node, CURVES[node.id], "the wrong quantity", f"{CURVES[node.id]} for {node.id} in {target}",
                   f"In your code {target} comes out of a {CURVES[node.id]}. Gates lie between 0 and 1, the "
                   f"candidate and "
                   f"the tanh of the cell between -1 and 1. Look at where {target} stands in the equation.")
        if isinstance(node, ast.Name) and node.id in quantities:
            yield (node, quantities[node.id], "the wrong quantity", f"{quantities[node.id]} for {node.id} in {target}",
                   f"You used {quantities[node.id]} in {target}, where another quantity of the same shape belongs. "
                   f"Look at the time index and at the letter in the equation.")
        neutral = isinstance(node, ast.Name) and NEUTRAL.get(node.id.split("_")[0])
        if neutral and isinstance(value, ast.Call):
            yield (node, neutral, "a missing part", f"{node.id} left out of {target}",
                   f"You left {node.id} out of the batch norm. {WITHOUT[node.id.split('_')[0]]} Look at what Eq. 5 "
                   f"asks "
                   f"for beside the input.", "step value, minibatch")
        if isinstance(node, ast.Name) and node.id == "mask":
            yield (node, "None", "the mask or the statistics", f"mask ignored in {target}",
                   "You took the batch statistics over all examples. Padded ones carry an old state, and must not "
                   "enter "
                   "the mean and the variance. Look at which rows the statistics are made of.",
                   "step value, masked")
        if isinstance(node, ast.Subscript) and _text(line, node).startswith("statistics["):
            yield (node, "None", "the mask or the statistics", f"given statistics ignored in {target}",
                   "You estimated the statistics from the batch although others were given. At test time they come "
                   "from the training set. Look at what is done with `statistics`.", "step value, given")


def _zeros(value, target, of, line):
    why = (f"No gradient comes back to {of} in your code. The loss depends on {of}, so some path leads back to it. "
           f"Look for a line that is missing, or whose result is overwritten.")
    if isinstance(value, ast.Tuple):
        names = line.split(" = ")[0].split(", ")
        for each, name in zip(value.elts, names, strict=True):
            yield each, f"0 * {_text(line, each)}", "a missing part", f"{name} is zero", why.replace(of, _plain(name))
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        for each in value.args:
            if _text(line, each).startswith("d"):
                yield (each, f"0 * {_text(line, each)}", "a missing part", f"{_text(line, each)} is lost in {target}",
                       f"{_text(line, each)} does not come into {target} in your code, so nothing before it gets this "
                       f"gradient. Look at what {target} {_verb(target, 'is')} made from.")
    else:
        text = _text(line, value)
        yield (value, f"0 * ({text})" if isinstance(value, ast.BinOp) else f"0 * {text}", "a missing part",
               f"{target} is zero", why)


def _operands(value, target, of, line):
    for node in ast.walk(value):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult | ast.Add):
            continue
        for kept, gone in ((node.left, _text(line, node.right)), (node.right, _text(line, node.left))):
            if isinstance(node.op, ast.Add):
                what = "what arrives" if gone == target else gone
                yield (node, _text(line, kept), "a missing part", f"{what} left out of {target}",
                       f"You left a path out: {target} does not hold {what}{' from step t+1' * (gone == target)}. A "
                       f"quantity that is used twice gets a gradient from both uses, and they add up. Look at where "
                       f"{of} goes in the forward pass.")
            else:
                upstream = gone.startswith("d") and not gone.startswith(("dtanh(", "dsigmoid("))
                slope = gone.startswith(("dtanh(", "dsigmoid("))
                why = ("The chain rule multiplies the local derivative by what arrives from above." if upstream else
                       "On the way back through a nonlinearity the gradient is multiplied by its slope." if slope else
                       "The derivative of a product with respect to one factor is the other factor.")
                yield (node, _text(line, kept), "a factor", f"{gone} left out of {target}",
                       f"You left a factor out of {target}: {gone} does not come in. {why} Look at the forward line "
                       f"that uses {of}, and write down its derivative.")


def _forward_operands(value, target, line):
    for node in ast.walk(value):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult | ast.Add):
            continue
        for kept, gone in ((node.left, _text(line, node.right)), (node.right, _text(line, node.left))):
            if _text(line, kept) == "b" or isinstance(kept, ast.Compare):       # it has not the shape of the whole
                continue
            word = "term" if isinstance(node.op, ast.Add) else "factor"
            yield (node, _text(line, kept), "a missing part" if word == "term" else "a factor",
                   f"{gone} left out of {target}",
                   f"You left a {word} out of {target}: {gone} does not come in. The equation has it there. Read it "
                   f"again, {word} by {word}.")


def _why(name, line):
    if name.startswith("d"):
        return "Each forward line passes back the gradient of its own result."
    if f"({name})" in line:
        return "A slope is written with the value that this same nonlinearity returned."
    return "In the derivative of a product each factor's gradient holds the other factor."


def _look(target, of, value):
    """Where to look for what a gradient is made of."""
    if isinstance(value, ast.Call):
        return f"Look at what {target} {_verb(target, 'is')} made from."
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return f"Look at each place where {of} goes in the forward pass."
    return f"Look at the forward line that uses {of}, and differentiate that line alone."


def _verb(target, verb):
    """The verb for one name, or for several."""
    several = " and " in target
    return {"is": "are" if several else "is"}.get(verb, verb if several else f"{verb}s")


def _plain(gradient):
    """What it is the gradient of: df_tilde -> f~."""
    return " and ".join(name.removeprefix("d").replace("_tilde", "~") for name in gradient.split(" and "))


def _text(line, node):
    return ast.get_source_segment(line, node)


