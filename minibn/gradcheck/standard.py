"""The checks that ``minibn gradcheck`` runs: every cell, in every way that it can be called."""

import numpy as np

from minibn.cells import CELLS
from minibn.cells.user import is_user_cell, open_cell
from minibn.errors import check_choice
from minibn.gradcheck.arguments import make_rng
from minibn.gradcheck.layers import check_gradients
from minibn.layers import RecurrentLayer
from minibn.models import READERS, AttentiveReader, LanguageModel, SequenceClassifier
from minibn.questions import Questions
from minibn.statistics import PopulationStatistics, Statistics
from minibn.tables import plain_table

T, N, D, H, CLASSES = 5, 6, 3, 4, 7   # all different: a mixed-up axis must not fit
OF_READERS = "readers"


def run_standard_checks(cells="all", seed=0):
    """Check the named cells, masked and not, with batch and given statistics, learned and given initial states.

    Parameters
    ----------
    cells : sequence of str
        Names in `minibn.cells.CELLS`, "readers", "all", or cells of your own: "my_cell.py:GRU", a file and the name in
        it.
    seed : int

    Returns
    -------
    list of Report
    """
    cells = [cells] if isinstance(cells, str) else list(cells)
    own = [open_cell(name).declaration for name in cells if is_user_cell(name)]
    for name in cells:
        if not is_user_cell(name):
            check_choice("cells", name, (*CELLS, OF_READERS, "all"))
    named = [declaration for name, declaration in CELLS.items() if name in cells or "all" in cells]
    readers = check_readers(seed) if {OF_READERS, "all"} & {*cells} else []
    return [*(report for declaration in (*named, *own) for report in check_cell(declaration, seed)), *readers]


def check_cell(declaration, seed=0):
    """The standard checks of one cell, and of each of its variants: a list of Report."""
    return [report for label, options in _variants(declaration).items()
            for report in _check_layer(label, RecurrentLayer(declaration, D, H, rng=0, **options), seed)]


def check_readers(seed=0):
    """The checks of every whole reader, with either rows in its statistics: a list of Report, of one direction each."""
    reports, rng = [], make_rng(seed, 6)
    texts = [rng.integers(0, CLASSES, (steps, N)) for steps in (T, H)]
    masks = [np.arange(len(text))[:, None] < rng.permutation(np.arange(1, N + 1)) for text in texts]
    questions = Questions(texts[0], masks[0], texts[1], masks[1])
    for variant in READERS:
        for rows in ("live", "all"):
            # All examples start alike, and rounding grows by 1/sqrt(eps) at the first step: 1e-2 for 1e-5.
            reader = AttentiveReader(variant, CLASSES, D, D, H, D + 2, rows=rows, skip=True, bilinear=True, eps=1e-2,
                                     rng=0)
            reports.append(check_gradients(reader, questions, seed=seed, elementwise=False,
                                           title=f"{reader.title}: {rows} rows"))
    return reports


def gradcheck_table(names):
    """What ``minibn gradcheck`` prints.

    Parameters
    ----------
    names : sequence of str
        As for `run_standard_checks`.

    Returns
    -------
    text : str
        One line per check, and the full table of each that failed.
    ok : bool
    """
    reports = run_standard_checks(names)
    table = plain_table([(r.title, "ok  " if r.ok else "FAIL", r.summary()) for r in reports], "l")
    failed = [report for report in reports if not report.ok]
    verdict = f"{len(failed)} of {len(reports)} checks FAILED" if failed else f"all {len(reports)} checks passed"
    heading = "error of a tensor's gradient: max|a - n| / max(max|n|, 1e-3 of the largest gradient in the check)"
    return "\n".join([heading, table, *(f"\n{report}" for report in failed), verdict]), not failed


def _variants(declaration):
    """Label -> options: the cell as it is, with each parameter that an option brings, with each other choice."""
    variants = {declaration.title: {}}
    for name, parameter in declaration.parameters.items():
        if parameter.when:
            variants[f"{declaration.title} with {name}"] = {parameter.when: True}
    for name, option in declaration.options.items():
        if option.kept:
            variants |= {f"{declaration.title}, {name}={value}": {name: value}
                         for value in option.choices if value != option.default}
    return variants


def _cases(cell, rng):
    """What to pass to `check_gradients`, by name: the plain call, then one thing or two added to it."""
    x = rng.standard_normal((T, N, D))
    mask = _draw_mask(rng)
    masked_x = np.where(mask[..., None], x, np.nan)   # padding is never read
    states = tuple(0.5 * rng.standard_normal((N, *cell.params[name].shape)) for name in cell.state_names)
    cases = {
        "learned states": {"x": x},
        "masked": {"x": masked_x, "mask": mask},
        "masked, given states": {"x": masked_x, "mask": mask, "initial_state": states},
        "masked, integer x": {"x": rng.permuted(np.arange(T * N).reshape(T, N) % D, axis=1), "mask": mask},
        "one step, given states": {"x": x[:1], "initial_state": states},
        "central differences": {"x": x, "method": "central", "elementwise": False},
    }
    if cell.terms:
        given = {"statistics": _draw_statistics(cell, x, rng)}
        cases |= {
            "given statistics": {"x": x, **given},
            "given statistics, masked, from step 1": {"x": masked_x, "mask": mask, **given, "first_step": 1},
        }
    return cases


def _check_layer(label, cell, seed):
    rng = make_rng(seed, 3)
    cases = _cases(cell, rng)
    for case, arguments in cases.items():
        yield check_gradients(cell, seed=seed, title=f"{label}: {case}", **arguments)
    model = SequenceClassifier(cell, CLASSES, rng=0)
    noise = 0.1 * rng.standard_normal((N, cell.output_size))
    yield check_gradients(model, **cases["masked"], initial_noise=noise, seed=seed,
                          title=f"{label}: classifier, masked, noise on h0")
    model = LanguageModel(cell, D, rng=0)
    yield check_gradients(model, **cases["masked, integer x"], initial_noise=noise, seed=seed,
                          title=f"{label}: language model, masked, noise on h0")


def _draw_mask(rng):
    """One padded example per step, but a step where one alone is live and a step where none is.

    Fewer live examples, with few distinct integers, could all be equal: a batch norm of rounding errors.
    """
    mask = np.arange(N) != rng.integers(N, size=(T, 1))
    mask[2] = np.arange(N) == 1
    mask[3] = False
    return mask


def _draw_statistics(cell, x, rng):
    """Given statistics for fewer steps than x has: the last ones repeat."""
    return PopulationStatistics({
        term: Statistics(0.3 * rng.standard_normal(mean[:T - 2].shape), rng.uniform(0.5, 1.5, mean[:T - 2].shape))
        for term, (mean, _) in cell.batch_statistics(x).items()})
