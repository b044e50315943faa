"""How far a sweep is: read from the folders of its runs, shown in a line, kept in ``sweep.json``."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from minibn.training.checkpoints import write_atomically
from minibn.training.folder import CONFIG, LOCK, METRICS
from minibn.training.metrics import read_metrics
from minibn.training.options import CELL_OPTIONS

__all__ = ["FILE", "State", "is_sweep", "read_sweep", "run_folders"]

FILE = "sweep.json"


@dataclass
class RunState:
    """What is known of one run."""

    run: str
    model: str
    settings: dict
    iterations: int
    status: str = "waiting"     # running, finished, failed
    iteration: int = 0
    error_rate: float | None = None     # the lowest on the validation set
    error: str | None = None

    def read(self, folder, task):
        """Look at the run's folder."""
        try:
            records = read_metrics(folder / self.run / METRICS)
        except (OSError, ValueError):       # not begun, or damaged: who trains it says so
            return
        if records:
            self.iteration = max(record["iteration"] for record in records)
            valid = [task.error_rate(record) for record in records if record["kind"] == "valid"]
            self.error_rate = min(valid, default=None)
            if records[-1]["kind"] == "final" and self.iteration >= self.iterations:
                self.status = "finished"


class State:
    """All runs of a sweep.

    Parameters
    ----------
    folder : Path
    planned : list of Planned

    Raises
    ------
    ValueError
        The folder holds something else.
    """

    def __init__(self, folder, planned):
        self.folder, self.task = folder, planned[0].config.task
        self.config = planned[0].config
        self.before = _before(folder, self.task, {one.name for one in planned})
        each = [_own(one.config) for one in planned]
        differing = [name for name in dict.fromkeys(name for values in each for name in values)
                     if len({str(values[name]) for values in each if name in values}) > 1]
        self.runs = {one.name: RunState(one.name, one.model, {name: values[name] for name in differing
                                                              if name in values}, one.config.iterations)
                     for one, values in zip(planned, each, strict=True)}
        self.started = time.perf_counter()
        for run in self.runs.values():
            run.read(folder, self.config)
        self.first = self.done

    @property
    def done(self):
        """Iterations of all runs."""
        return sum(min(run.iteration, run.iterations) for run in self.runs.values())

    @property
    def total(self):
        """Iterations of all runs, once they are finished or have failed."""
        return sum(run.iteration if run.status == "failed" else run.iterations for run in self.runs.values())

    def of(self, *status):
        """The runs in one of these conditions."""
        return [run for run in self.runs.values() if run.status in status]

    def look(self):
        """Read again what may have changed."""
        for run in self.of("waiting", "running"):
            if (self.folder / run.run / LOCK).exists():
                run.status = "running"
                run.read(self.folder, self.config)

    def stop(self):
        """Nothing runs any more."""
        self.look()
        for run in self.of("running"):
            run.status = "waiting"

    def finish(self, name, error):
        """What became of a run."""
        run = self.runs[name]
        run.read(self.folder, self.config)
        if error:
            run.status, run.error = "failed", error
        elif run.status != "finished":
            run.status = "waiting"

    @property
    def best(self):
        """The run with the lowest error on its validation set, or None."""
        known = [run for run in self.runs.values() if run.error_rate is not None]
        return min(known, key=lambda run: run.error_rate, default=None)

    def line(self):
        """The whole in a line."""
        counts = [f"{len(self.of('finished'))} of {len(self.runs)} runs done", f"{len(self.of('running'))} running"]
        counts += [f"{len(self.of('failed'))} failed"] * bool(self.of("failed"))
        counts += [f"best {words(self.best)}"] if self.best else []
        return ", ".join(counts)

    def to_dict(self):
        """What ``sweep.json`` says."""
        pace = (self.done - self.first) / (time.perf_counter() - self.started)
        left = (self.total - self.done) / pace if pace else None
        runs = {entry["run"]: entry for entry in self.before} | {name: asdict(run) for name, run in self.runs.items()}
        return {"task": self.task, **{status: len(self.of(status)) for status in
                                      ("finished", "running", "failed", "waiting")},
                "best": self.best and self.best.run, "iterations_done": self.done, "iterations": self.total,
                "seconds_left": left and round(left), "runs": list(runs.values())}

    def write(self):
        """Write ``sweep.json``, all or nothing."""
        write_atomically(self.folder / FILE, (json.dumps(self.to_dict(), indent=1) + "\n").encode())


def _own(config):
    """The settings of a run, without the options of other cells."""
    return {name: value for name, value in config.to_dict().items()
            if name not in ("model", "cell", "iterations")
            and (name not in CELL_OPTIONS or name in config.declaration.options)}


def words(run):
    """A run and its error, in a few words."""
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in run.settings.items())
    error = "" if run.error_rate is None else f": lowest error {run.error_rate:.4f} in {run.iteration:,} iterations"
    return f"{run.model}{f' ({settings})' if settings else ''}{error}"


def is_sweep(folder):
    """Whether a folder is that of a sweep."""
    return (Path(folder) / FILE).is_file()


def read_sweep(folder):
    """What ``sweep.json`` says, as a dict.

    Raises
    ------
    ValueError
        It is damaged.
    """
    path = Path(folder) / FILE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(said["task"], str) or not all(isinstance(run["run"], str) for run in said["runs"]):
            raise ValueError("a name is missing")
        return said
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged, not the record of a sweep ({error}); delete it: the same command as before "
                         f"makes it again") from None


def run_folders(folders):
    """The folders of runs, where those of sweeps stand for all of theirs that were validated: list of Path."""
    found = []
    for folder in map(Path, folders):
        runs = [folder / run["run"] for run in read_sweep(folder)["runs"] if run["error_rate"] is not None] \
            if is_sweep(folder) else [folder]
        if not runs:
            raise ValueError(f"runs: {folder} is a sweep of which no run was validated yet; wait")
        found += runs
    return found


def _before(folder, task, names):
    """The runs that a folder has already; a ``sweep.json`` that was lost is made again."""
    if not folder.exists() or {path.name for path in folder.iterdir()} <= names:
        return []
    if is_sweep(folder):
        said = read_sweep(folder)
        if said["task"] != task:
            raise ValueError(f"out: {folder} holds a sweep on {said['task']}, and this is one on {task}; name another "
                             f"folder")
        return said["runs"]
    what = "is a run" if (folder / CONFIG).exists() else "is not empty, and no sweep"
    raise ValueError(f"out: {folder} {what}; name another folder")
