"""The parameters of a model made of parts, as one flat mapping with dotted names."""

from collections.abc import MutableMapping


class NestedParams(MutableMapping):
    """A live view: ``params["cell.W_x"]`` is the part's own ``params["W_x"]``, also after either is replaced.

    Parameters
    ----------
    parts : dict
        Prefix -> mapping of parameters; the prefix "" is for the model's own.
    """

    def __init__(self, parts):
        self._parts = parts

    def __getitem__(self, name):
        part, key = self._find(name)
        return part[key]

    def __setitem__(self, name, value):
        part, key = self._find(name)
        part[key] = value

    def __delitem__(self, name):
        raise TypeError(f"{name}: a model's parameters are fixed and cannot be deleted; assign another array")

    def __iter__(self):
        for prefix, part in self._parts.items():
            for key in part:
                yield f"{prefix}.{key}" if prefix else key

    def __len__(self):
        return sum(len(part) for part in self._parts.values())

    def __repr__(self):
        return f"{type(self).__name__}({{{', '.join(f'{name!r}: {tuple(self[name].shape)}' for name in self)}}})"

    def _find(self, name):
        for prefix, part in self._parts.items():
            key = name.removeprefix(f"{prefix}.") if prefix else name
            if key in part and (not prefix or key != name):
                return part, key
        raise KeyError(name)
