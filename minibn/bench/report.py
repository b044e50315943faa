"""From times to rows with medians and ratios, and from a report to text."""

import statistics

from minibn.bench.entrants import has_plain_peer, products_name
from minibn.bench.peers import PEERS, PLAIN
from minibn.bench.scaling import AXES
from minibn.bench.timing import median_ratio
from minibn.cells import bn_lstm
from minibn.tables import markdown_table

HEADINGS = ("", "forward", "backward", "both", "/ products", "/ nn.LSTM", "/ best BN-LSTM peer", "iteration",
            "/ both", "memory")
LEGEND = ("A ratio is the median of the rounds' ratios. iteration: batch, forward, loss, backward, clipping, RMSProp. "
          "memory: ")
SAMPLING = ("", "characters a second", "microseconds for one", "/ products")
AVX2_CORES = ("Haswell", "Zen")     # as OpenBLAS calls the processors that it uses AVX2 on, and no more
MEMORY = {"cpu": "at most, beyond what the process had before its first run.",
          "cuda": "what the library has taken of the GPU's, at most."}


def rows_of(entrants, times, extra):
    """The rows of a table.

    Parameters
    ----------
    entrants : sequence of Entrant
    times : dict
        As `minibn.bench.timing.alternate` returns them.
    extra : dict
        name -> bytes, or None.

    Returns
    -------
    list of dict
        "name"; median seconds "forward", "backward", "total", "iteration"; ratios (medians of each round's ratio)
        "to_products", "to_plain_lstm", "to_best_peer" (only of BN-LSTMs), "iteration_to_total"; "memory" in bytes.
        None where there is no such number.
    """
    rows = []
    best = _best_peer(entrants, times)
    for entrant in entrants:
        mine = times.get(entrant.name)
        if mine is None:
            continue

        def ratio(other, wanted=True, mine=mine):
            return median_ratio(mine["total"], times[other]["total"]) if wanted and other in times else None

        products = products_name(entrant.cell)
        rows.append({
            "name": entrant.name,
            **{part: statistics.median(mine[part]) if part in mine else None
               for part in ("forward", "backward", "total", "iteration")},
            "to_products": ratio(products, entrant.name != products),
            "to_plain_lstm": ratio(PLAIN.name, has_plain_peer(entrant.cell) and entrant.name != PLAIN.name),
            "to_best_peer": ratio(best, entrant.cell is bn_lstm.CELL),
            "iteration_to_total": median_ratio(mine["iteration"], mine["total"]) if "iteration" in mine else None,
            "memory": extra[entrant.name],
        })
    return rows


def _best_peer(entrants, times):
    """The fastest BN-LSTM that is not ours; None without any."""
    medians = {entrant.name: statistics.median(times[entrant.name]["total"]) for entrant in entrants
               if entrant.cell is bn_lstm.CELL and entrant.make in PEERS and entrant.name in times}
    return min(medians, key=medians.get, default=None)


def report_text(report):
    """The report of `minibn.bench.run_bench`, or what ``json.load`` read of it, as Markdown."""
    return "\n\n".join([
        header_text(report),
        *map(table_text, report["tables"]),
        *map(memory_text, report["memory"]),
        *map(sampling_text, report["sampling"]),
        scaling_text(report["scaling"]),
    ])


def header_text(report):
    """Machine, versions, date."""
    machine, settings = report["machine"], report["settings"]
    where = f", {machine['gpu']}" if machine["gpu"] else ""
    versions = ", ".join(f"{name} {text}" for name, text in machine["versions"].items())
    threads = threads_text(*machine["threads"])
    core = f", its kernels for {machine['blas_core']}" if machine["blas_core"] else ""
    lines = [f"{machine['processor']}, {machine['cores']} cores, {threads}{where}; {machine['system']}, "
             f"Python {machine['python']}",
             f"{versions}; BLAS of NumPy: {machine['blas']}{core}",
             f"{machine['started']}, {settings['dtype']} on {settings['device']}, medians of {settings['rounds']} "
             "alternating rounds, milliseconds",
             LEGEND + MEMORY[settings["device"]]]
    if machine["load"] is not None and machine["load"] > 0.5:
        lines.append(f"The machine was not idle before it began (load {machine['load']:.1f}): trust the ratios, "
                     "not the times.")
    if machine["avx512"] and machine["blas_core"] in AVX2_CORES:
        lines.append("The processor has AVX-512, of which NumPy's BLAS makes no use: try OPENBLAS_CORETYPE=SkylakeX.")
    return "\n".join(lines)


def threads_text(*counts):
    """1 thread, 2 threads, 1 and 2 threads."""
    return f"{' and '.join(map(str, counts))} thread{'s' * (counts != (1,))}"


def table_text(table):
    """The times at one shape."""
    body = [[
        row["name"],
        *(_milliseconds(row[part]) for part in ("forward", "backward", "total")),
        *(_ratio(row[key]) for key in ("to_products", "to_plain_lstm", "to_best_peer")),
        _milliseconds(row["iteration"]), _ratio(row["iteration_to_total"]), _size(row["memory"]),
    ] for row in table["rows"]]
    title = f"T,N,D,H = {_shape(table['shape'])}, {threads_text(table['threads'])}"
    return f"{title}\n\n{markdown_table([HEADINGS, *body])}{_not_measured(table['failures'])}"


def _not_measured(failures):
    """Who is missing, and why; those with the same reason together."""
    names = {}
    for name, reason in failures.items():
        names.setdefault(reason, []).append(name)
    return "".join(f"\n\nNot measured: {'; '.join(group)} ({reason})." for reason, group in names.items())


def memory_text(memory):
    """What our cells keep at one shape."""
    lines = [f"Kept for the backward at T,N,D,H = {_shape(memory['shape'])}, and the peak beside it:", ""]
    for name, found in memory["cells"].items():
        kept, returned, peak = (found[f"{what}_bytes"] for what in ("kept", "returned", "peak"))
        lines.append(f"- {name}: {_size(kept)}; with h and the gradients {_size(kept + returned)}; peak {_size(peak)}, "
                     f"{peak / kept:.2f} and {peak / (kept + returned):.2f} of them")
        large = [row for row in found["kept"] if row["bytes"] >= 0.01 * found["kept_bytes"]]
        lines += [f"    - {row['names']} {_counted(row)}: {_size(row['bytes'])}" for row in large]
    return "\n".join(lines)


def sampling_text(table):
    """Characters a second at one width."""
    rows = [[row["name"], f"{1 / row['total']:,.0f}", f"{1e6 * row['total']:.3g}", _ratio(row["to_products"])]
            for row in table["rows"]]
    title = f"Sampling with H = {table['shape'][-1]}, {threads_text(table['threads'])}"
    return f"{title}\n\n{markdown_table([SAMPLING, *rows])}{_not_measured(table['failures'])}"


def _counted(row):
    shape = f"({', '.join(map(str, row['shape']))})"
    return f"{row['count']} x {shape}" if row["count"] > 1 else shape


def scaling_text(found):
    """How the times grow."""
    lines = [f"Growth of forward + backward from T,N,D,H = {_shape(found['base'])}: time ~ size^p; for T and N also "
             "how far the points lie from a straight line at most", ""]
    rows = [["", *(f"{axis} = {found[axis]['sizes'][0]} .. {found[axis]['sizes'][-1]}" for axis in AXES)]]
    for name in found["T"]["seconds"]:
        cells = [name]
        for axis in AXES:
            data = found[axis]
            off = f", {100 * data['line'][name]:.0f} % off" if name in data["line"] else ""
            cells.append(f"p = {data['power'][name]:.2f}{off}")
        rows.append(cells)
    return "\n".join([*lines, markdown_table(rows)]) + _not_measured(found["failures"])


def _shape(shape):
    return ",".join(map(str, shape))


def _milliseconds(seconds):
    if seconds is None:
        return ""
    return f"{1e3 * seconds:.0f}" if seconds >= 0.1 else f"{1e3 * seconds:.3g}"


def _ratio(value):
    return "" if value is None else f"{value:.2f}"


def _size(count):
    if count is None:
        return ""
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.2g} MB"
