"""Which kind of lab is called and judged how: a module with ``call`` (in the worker) and ``judged`` (in the parent)."""

from importlib import import_module

MODULES = {"functions": ("minibn.labs.worker", "minibn.labs.grade"), "catch": ("minibn.labs.catch",) * 2,
           "project": ("minibn.labs.project",) * 2}


class Kind:
    """The two sides of one kind of lab."""

    def __init__(self, name):
        self.call = import_module(MODULES[name][0]).call
        self.name = name

    @property
    def judged(self):
        """Of the parent."""
        return import_module(MODULES[self.name][1]).judged


def of(lab):
    """The kind of a lab."""
    return Kind(lab.judge)
