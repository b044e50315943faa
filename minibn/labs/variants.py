"""Variants of the labs: another specification, whose right answer is not in the library.

The solutions of the labs are public. A variant edits the library's lines, forward and backward together, and grades
against that. What the library itself returns is then wrong, and known: "the standard form was handed in".
"""

from typing import NamedTuple

from minibn.labs.mistakes.row import Table

GFIO = {"step_forward": [("f_tilde, i_tilde, o_tilde, g_tilde = split", "f_tilde, i_tilde, o_tilde, g_tilde",
                          "g_tilde, f_tilde, i_tilde, o_tilde")],
        "step_backward": [("dtilde =", "df_tilde, di_tilde, do_tilde, dg_tilde",
                           "dg_tilde, df_tilde, di_tilde, do_tilde")]}


def _coupled(dc):
    return {"step_forward": [("c =", "i * g", "(1 - f) * g")],
            "step_backward": [("df =", "c_prev", "(c_prev - g)"), ("di =", f"{dc} * g", f"0 * {dc}"),
                              ("dg =", "* i", "* (1 - f)")]}


class Variant(NamedTuple):
    """What is asked for instead, in a sentence for the students; and function -> (line, part, what stands there)."""

    sentence: str
    edits: dict


VARIANTS = {
    1: {"leaky": Variant("The new state is the old one plus the tanh: h_t = h_{t-1} + tanh(...).", {
            "step_forward": [("h =", "tanh(h_tilde)", "h_prev + tanh(h_tilde)")],
            "step_backward": [("dh_tilde =", "dtanh(h)", "dtanh(h - h_prev)"),
                              ("dh_prev =", "dh_linear", "dh + dh_linear")]}),
        "steep": Variant("The tanh is twice as steep: h_t = tanh(2 (W_h h_{t-1} + W_x x_t + b)).", {
            "step_forward": [("h =", "tanh(h_tilde)", "tanh(2 * h_tilde)")],
            "step_backward": [("dh_tilde =", "dh *", "2 * dh *")]})},
    2: {"eps-outside": Variant("Epsilon is added to the standard deviation, outside the root: inv_std = 1 / "
                               "(sqrt(variance) + eps).", {
            "batch_norm_forward": [("inv_std =", "xp.sqrt(variance + eps)", "(xp.sqrt(variance) + eps)")],
            "batch_norm_backward": [("a, weight, mean,", "mean, _,", "mean, variance,"),
                                    ("dvariance =", "inv_std * (inv_std * (inv_std * dinv_std))",
                                     "inv_std * (inv_std * dinv_std) / xp.sqrt(variance)")]}),
        "mean-only": Variant("Only the mean is taken out, nothing is divided: hat = a - mean.", {
            "batch_norm_forward": [("hat =", " * inv_std", "")],
            "batch_norm_backward": [("dinv_std =", "dhat *", "0 * dhat *"), ("dmean =", " * inv_std", ""),
                                    ("da =", "dhat * inv_std", "dhat")]})},
    3: {"coupled": Variant("The gates are coupled: c_t = f c_{t-1} + (1 - f) g. The input gate has no effect.",
                           _coupled("dc")),
        "gfio": Variant("The gate blocks stand in the order g, f, i, o.", GFIO)},
    4: {"bits": Variant("The loss is in bits: its logarithm has the base 2.", {
            "softmax_cross_entropy_forward": [("loss =", ".sum()", ".sum() / xp.log(2)")],
            "softmax_cross_entropy_backward": [("return", "* cache.weight", "* cache.weight / xp.log(2)")]}),
        "sum": Variant("The loss is the sum over the live predictions, not their mean.", {
            "softmax_cross_entropy_forward": [
                ("weight = 1 / y.size", "1 / y.size", "1.0"),
                ("weight = live", "live / xp.maximum(live.sum(dtype=logits.real.dtype), 1)", "live * 1.0")]})},
    5: {"coupled": Variant("The gates are coupled: c_t = f c_{t-1} + (1 - f) g. The input gate has no effect.",
                           _coupled("dc_new")),
        "gfio": Variant("The gate blocks stand in the order g, f, i, o.", GFIO)},
    7: {"averaged": Variant("The paper's ablation: the statistics are averaged over time too, and every step has the "
                            "same row.", {
            "average_over_batches": [
                ("return", "Statistics(*(total / count for total in statistics))",
                 "Statistics(*((total / count).mean(axis=0, keepdims=True) + 0 * total for total in statistics))")]}),
        "shortest": Variant("Longer batches are cut to the shortest, not continued.", {
            "add_ragged": [("T =", "max", "min")]})},
}


def standard_of(lab, variant):
    """(module, function) -> the edits that make the library's function the one asked for."""
    if not variant:
        return {}
    chosen = VARIANTS.get(lab.number, {})
    if variant not in chosen:
        raise ValueError(f"variant: expected {' or '.join(chosen) or 'none, for this lab has no variants'}, got "
                         f"{variant!r}")
    found = {}
    for ask in lab.asks:
        table = Table(ask.module, ask.function, "", "")
        for edit in chosen[variant].edits.get(ask.function, ()):
            table.add(*edit, "the wrong quantity", f"variant {len(table.rows)}", "")
        if table.rows:
            found[ask.module, ask.function] = tuple(row.edit for row in table.rows)
    return found


def variant_of(lab, variant):
    """(module, name) -> the function asked for, where it is not the library's."""
    standard = standard_of(lab, variant)
    return {(ask.module, ask.function): ask.source.function(standard[ask.module, ask.function])
            for ask in lab.asks if (ask.module, ask.function) in standard}
