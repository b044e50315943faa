"""The Attentive Reader once more, written from the paper and its description, row by row, for others to differentiate.

Nothing of minibn is used but its names of parameters. `np` is ``numpy``, ``autograd.numpy`` or ``torch``. Which rows
count is a list of their numbers; a text that is over is not computed any further; the softmax of a passage sees its
words alone.
"""

import numpy

EPS = 1e-5


def mean_cross_entropy(np, logits, y):
    """In nats, of a softmax over all E labels."""
    return (np.log(np.exp(logits).sum(1)) - logits[list(range(len(y))), y]).sum() / len(y)


def reader_logits(np, p, questions, variant, rows, cyclic=False, data=None, given=None):
    """The logits (N, E).

    Parameters
    ----------
    np : module
        ``numpy``, ``autograd.numpy``, or ``torch``.
    p : dict
        Parameters by minibn's names, as arrays of that module.
    questions : tuple of NumPy arrays
        Passage, mask, question, mask.
    variant, rows : str
    cyclic : bool
        Texts are repeated in their padding.
    data : dict of NumPy arrays, optional
        Dropout masks.
    given : dict of pairs of NumPy arrays, optional
        Mean and variance of some terms.
    """
    passage, passage_mask, question, question_mask = questions
    both, normalized = variant in ("bn_e2", "bilstm"), variant not in ("lstm", "bilstm")
    own_terms = variant in ("bn_everywhere", "bn_e1", "bn_e2")
    given, data = given or {}, data or {}

    def array(value):
        return np.from_numpy(numpy.ascontiguousarray(value)) if np.__name__ == "torch" else np.array(value)

    def normalize(a, counted, term, t=0):
        """(a - mean) / sqrt(variance + eps) of the rows, with what the counted ones have, or what is given."""
        if term in given:
            mean, variance = (array(value[min(t, len(value) - 1)]) for value in given[term])
        else:
            chosen = a[counted]
            mean = chosen.sum(0) / len(counted)
            variance = ((chosen - mean) ** 2).sum(0) / len(counted)
        return (a - mean) / np.sqrt(variance + EPS)

    def encode(name, ids, mask, keep):
        T, N = ids.shape
        words = numpy.zeros((T, N), int)
        read = numpy.zeros((T, N, 1))
        for n in range(N):
            text = [ids[t, n] for t in range(T) if mask[t, n]]
            for t in range(T):
                if mask[t, n] or (cyclic and text):
                    words[t, n], read[t, n] = text[t % len(text)] if cyclic else ids[t, n], 1
        x = p["M"][words.reshape(-1)].reshape(T, N, -1) * array(read)
        if keep is not None:
            x = x * array(keep)
        if not both:
            return direction(f"{name}.", x, mask)
        order = numpy.tile(numpy.arange(T)[:, None], (1, N))
        for n in range(N):
            live = [t for t in range(T) if mask[t, n]]
            order[live, n] = live[::-1]
        every = numpy.arange(N)
        h, last = direction(f"{name}.forward.", x, mask)
        turned, first = direction(f"{name}.backward.", x[order, every], mask)
        return np.concatenate([h, turned[order, every]], -1), np.concatenate([last, first], -1)

    def direction(prefix, x, mask):
        """The states (T, N, H) of one reader, and the last ones."""
        w = {name[len(prefix):]: value for name, value in p.items() if name.startswith(prefix)}
        T, N, _ = x.shape
        H = w["W_h"].shape[0]
        x_linear = x.reshape(T * N, -1) @ w["W_x"]
        if normalized and variant in ("bn_e1", "bn_e2"):        # one set for all words
            counted = [t * N + n for t in range(T) for n in range(N) if mask[t, n]]
            x_linear = normalize(x_linear, counted, f"{prefix}x") * w["gamma_x"]
        x_linear = x_linear.reshape(T, N, -1)
        h = c = array(numpy.zeros((N, H)))
        h, c, states = h + w["h0"], c + w["c0"], []
        for t in range(T):
            live = [n for n in range(N) if mask[t, n]]
            counted = list(range(N)) if rows == "all" else live
            if live:
                x_term, h_term = x_linear[t], h @ w["W_h"]
                if normalized:
                    h_term = normalize(h_term, counted, f"{prefix}h", t) * w["gamma_h"]
                    if variant in ("bnlstm", "bn_everywhere"):
                        x_term = normalize(x_term, counted, f"{prefix}x", t) * w["gamma_x"]
                gates = (h_term + x_term)[live] + w["b"]
                f, i, o, g = (gates[:, k * H : k * H + H] for k in range(4))
                c = merged(c[live] / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i)), c, live)
                c_term = normalize(c, counted, f"{prefix}c", t) * w["gamma_c"] if normalized else c
                h = merged(np.tanh(c_term[live] + w["beta_c"]) / (1 + np.exp(-o)), h, live)
            states.append(h)
        return np.stack(states), h

    def merged(new, old, live):
        """The old rows, the live ones new."""
        over = [n for n in range(len(old)) if n not in live]
        return np.concatenate([new, old[over]])[numpy.argsort(live + over)]

    def term(name, a, counted):
        """Of rows (R, C)."""
        linear = a @ p[f"P_{name}"]
        return normalize(linear, counted, name) * p[f"gamma_{name}"] if own_terms else linear

    d, _ = encode("document", passage, passage_mask, data.get("passage"))
    _, u = encode("question", question, question_mask, data.get("question"))
    T, N, C = d.shape
    everyone = list(range(N))
    counts_all = rows == "all" and variant == "bn_everywhere"
    counted = [t * N + n for t in range(T) for n in range(N) if counts_all or passage_mask[t, n]]
    z = term("d", d.reshape(T * N, C), counted).reshape(T, N, -1) + term("q", u, everyone) + p["b_a"]
    if "B" in p:
        z = z + ((d @ p["B"]) * (u @ p["B"])).sum(-1)[:, :, None]
    e = np.tanh(z) @ p["v"]
    found, means = [], []
    for n in everyone:
        live = [t for t in range(T) if passage_mask[t, n]]
        weight = np.exp(e[live, n])
        found.append((weight[:, None] * d[live, n]).sum(0) / weight.sum())
        means.append(d[live, n].sum(0) / len(live))
    g = term("r", np.stack(found), everyone) + term("u", u, everyone) + p["b_g"]
    if "P_m" in p:
        g = g + term("m", np.stack(means), everyone)
    g = np.tanh(g)
    if "answer" in data:
        g = g * array(data["answer"])
    return g @ p["W_y"] + p["b_y"]
