"""Text written by a trained language model."""

import numpy as np

from minibn.backend import to_device
from minibn.errors import check_integer, check_number
from minibn.training.evaluation import open_run

MOST_SYMBOLS = 10_000_000       # some hours of writing


def sample_text(run, prompt="the ", length=500, temperature=1.0, seed=1, cell=None):
    """Continue a prompt with the best model of a run, one character at a time, with population statistics.

    Parameters
    ----------
    run : path-like
        Folder of a run on text.
    prompt : str
        At least one character, all of them in the run's vocabulary.
    length : int
        Characters to write.
    temperature : float
        The logits are divided by it: below 1 the likely characters become likelier, above 1 the others.
    seed : int
        Of what is drawn.
    cell : str or Cell, optional
        Of a run with a cell of the user's own, as in `minibn.load`.

    Returns
    -------
    str
        The prompt and what follows it.

    Raises
    ------
    ValueError
        A run on images; an empty prompt or one with characters that the vocabulary lacks; a temperature or a
        length that is not above 0.
    """
    length = check_integer("length", length, 1)
    if length > MOST_SYMBOLS:
        raise ValueError(f"length: expected at most {MOST_SYMBOLS}, got {length}; write several texts")
    temperature = check_number("temperature", temperature, above=0, remedy="1.0 draws what the model predicts")
    seed = check_integer("seed", seed)
    if not isinstance(prompt, str):
        raise TypeError(f"prompt: expected a text, got {type(prompt).__name__}; pass at least one character")
    best = open_run(run, cell=cell)
    vocabulary = best.config.vocabulary(best.recorded)
    place = next((place for place, symbol in enumerate(prompt) if symbol not in vocabulary.symbols), None)
    if place is not None:
        raise ValueError(f"prompt: expected only the symbols {vocabulary.symbols!r}, found {prompt[place]!r} at "
                         f"position {place}; take it out")
    codes = to_device(vocabulary.encode(prompt), best.config.device)
    written = best.model.sample(codes, length, temperature, rng=np.random.default_rng(seed), statistics=best.statistics)
    return prompt + vocabulary.decode(written)
