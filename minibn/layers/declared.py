"""What a layer is before it does anything: a declared cell, its options, its sizes, and its parameters."""

import copy

import numpy as np

from minibn.cells.declaration import sizes_of
from minibn.equations import input_term
from minibn.errors import check_choice, check_sizes
from minibn.layers.checks import check_dtype
from minibn.layers.layer import Layer

ENGINES = ("equations", "kernels")


class _Declared:
    """What the declaration says: an attribute of a class that has one, and of every layer."""

    def __init__(self, read):
        self.read, self.__doc__ = read, read.__doc__

    def __get__(self, layer, owner):
        return self.read((owner if layer is None else layer).declaration)


class DeclaredLayer(Layer):
    """A cell with parameters."""

    declaration = None              # of a class for one cell, such as `minibn.LSTM`
    input_statistics = "step"       # these two where the cell has no such option
    eps = 0.0

    def __init__(self, declaration, input_size, hidden_size, *, dtype=np.float64, rng=None, engine="equations",
                 **options):
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        check_choice("engine", engine, ENGINES)
        dtype = check_dtype(dtype)
        rng = np.random.default_rng(rng)
        if type(self).declaration is None:
            self.declaration = declaration
        if engine == "kernels" and self.kernel is None:
            raise ValueError(f"engine: 'kernels' has none for the cell {declaration.name}; use engine='equations'")
        unknown = [name for name in options if name not in declaration.options]
        if unknown:
            raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {unknown[0]!r}; the options of "
                            f"the cell {declaration.name} are {', '.join(declaration.options)}")
        options = {name: option.checked(name, options.get(name, option.default), dtype)
                   for name, option in declaration.options.items()}
        vars(self).update({name: value for name, value in options.items() if declaration.options[name].kept})
        self.input_size, self.hidden_size, self.engine = int(input_size), int(hidden_size), engine
        params = {name: parameter.make(rng, self.sizes, options) for name, parameter in declaration.parameters.items()
                  if parameter.when is None or options[parameter.when]}
        params |= {f"{name}0": np.zeros(self.width(width)) for name, width in declaration.states.items()}
        self.params = {name: value.astype(dtype) for name, value in params.items()}

    def __repr__(self):
        sizes = {"input_size": self.input_size, "hidden_size": self.hidden_size}
        hidden = ("params", "engine", "declaration")
        options = {**sizes, **{name: value for name, value in vars(self).items() if name not in hidden}}
        words = [f"{name}={value!r}" for name, value in options.items()]
        cell = [] if type(self).declaration else [repr(self.declaration)]
        return f"{type(self).__name__}({', '.join([*cell, *words])}, dtype={self.dtype}, engine={self.engine!r})"

    @_Declared
    def kernel(declaration):
        """The name of its kernel, a module of `minibn.kernels`, or None."""
        return declaration.kernel

    @_Declared
    def blocks(declaration):
        """How many gates stand side by side, 4 in an LSTM; 1 where there are none."""
        return len(declaration.gates) or 1

    @_Declared
    def state_names(declaration):
        """The parameters where the states start: h0, c0."""
        return tuple(f"{name}0" for name in declaration.states)

    @_Declared
    def terms(declaration):
        """The normalized terms, those with statistics."""
        return tuple(declaration.normalized)

    @_Declared
    def data_names(declaration):
        """What the cell takes at each step: masks, noise."""
        return tuple(declaration.data)

    @_Declared
    def check_method(declaration):
        """How its gradients are checked: by the complex step, or by central differences where there are kinks."""
        return declaration.check

    @_Declared
    def quantities(declaration):
        """Of one step, in the order of the forward pass; those of a normalized input term first."""
        if "x" not in declaration.normalized:
            return declaration.quantities
        of_the_input = {name: row._replace(axes=row.axes.replace("G", declaration.input))
                        for name, row in input_term.QUANTITIES.items()}
        return {**of_the_input, **declaration.quantities}

    @property
    def title(self):
        """What people call it."""
        return type(self).__name__ if type(self).declaration else self.declaration.title

    @property
    def sizes(self):
        """What the letters of a shape stand for."""
        options = self.declaration.options.items()
        return {"D": self.input_size, "H": self.hidden_size,
                **{option.size: getattr(self, name) for name, option in options if option.size}}

    @property
    def output_size(self):
        """The width of h."""
        return self.width(next(iter(self.declaration.states.values())))

    def width(self, letters):
        """The number that a width like "4H" is."""
        return sizes_of(letters, self.sizes)[0]

    @property
    def options(self):
        """The options that the functions may name: name -> value."""
        return {name: getattr(self, name) for name, option in self.declaration.options.items() if option.kept}

    def map_params(self, function):
        """A copy of the layer with `function` applied to every parameter."""
        other = copy.copy(self)
        other.params = {name: function(value) for name, value in self.params.items()}
        return other

    def leaves(self):
        """The single recurrences in it, with what the names of their parameters begin with: itself."""
        yield "", self

    def term_size(self, term):
        """G, the number of features of a normalized term."""
        return self.width(self.declaration.normalized[term])

    def has_one_row(self, term):
        """Whether the statistics of a term are those of whole sequences."""
        return term == "x" and self.input_statistics == "sequence"

    def find(self, name):
        """``step_forward`` or ``step_backward``, as the cell's module has it now."""
        return self.declaration.find(name)
