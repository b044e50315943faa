"""Mistakes in going back through time, in padding, and in the loss."""

from minibn.labs.mistakes.row import Table

PARTS = "a missing part"
FACTOR = "a factor"
WRONG = "the wrong quantity"
SUM = "a sum or a mean"
SIGN = "a sign"
DERIVATIVE = "the derivative"
SHAPE = "the order or the shape"
TIME = "the time step"
MASK = "the mask or the statistics"

dsigmoid = Table("minibn.equations.activations", "dsigmoid", "Eq. 3", "sigmoid", "z")
for new, title, why in (
        ("s", "1 - s dropped", "You have one of the two factors. The sigmoid is flat at both ends."),
        ("1 - s", "s dropped", "You have one of the two factors. The sigmoid is flat at both ends."),
        ("1 - s * s", "tanh' for sigma'", "You used the slope of the tanh. The sigmoid has another one.")):
    dsigmoid.add("return", "s * (1 - s)", new, DERIVATIVE, title,
                 f"{why} Look at the derivative of 1 / (1 + exp(-z)), written with the value itself.")

dtanh = Table("minibn.equations.activations", "dtanh", "Eq. 1", "tanh", "z")
for new, kind, title, why in (
        ("1 - y", DERIVATIVE, "square dropped", "You lost a square: your slope is not the same for y and -y."),
        ("1 + y * y", SIGN, "sign", "Your slope grows towards both ends, where the tanh is flat."),
        ("y * (1 - y)", DERIVATIVE, "sigma' for tanh'", "You used the slope of the sigmoid. The tanh has another one."),
        ("y * y", PARTS, "1 left out", "Your slope is zero at zero, where the tanh is steepest."),
        ("1 - array_module(y).tanh(y) ** 2", WRONG, "tanh taken twice",
         "You took the tanh of y. The argument is the value of the tanh already."),
        ("(1 - y) ** 2", DERIVATIVE, "square of the difference",
         "You squared the difference. What is squared is the value alone."),
        ("0.5 * (1 - y * y)", FACTOR, "a factor one half",
         "The tanh has slope one at zero, and yours has one half."),
        ("-(1 - y * y)", SIGN, "negative slope", "Your slope is negative, and the tanh grows everywhere."),
        ("2 * y * (1 - y * y)", DERIVATIVE, "derivative of the square",
         "You differentiated the square of the tanh. Only the tanh itself is asked for."),
        ("1 / (1 + y * y)", DERIVATIVE, "derivative of the arc tangent",
         "You used the slope of the arc tangent. The hyperbolic tangent has another one.")):
    dtanh.add("return", "1 - y * y", new, kind, title,
              f"{why} Look at the derivative of the tanh, written with the value itself.")

freeze = Table("minibn.equations.recurrence", "freeze_backward", "Section 4", "freeze", "new")
freeze.add("dnew =", None, "dstate", MASK, "padded examples reach the new state",
           "You passed the gradient of padded examples to the new state. They kept the old one, and the new one had no "
           "effect. Look at which of the two states an example carries on.")
freeze.add("dnew =", "dstate, 0", "0, dstate", MASK, "mask inverted for the new state",
           "You gave the new state the gradients of the padded examples, and of no others. Look at what True means in "
           "the mask.")
freeze.add("dnew =", None, "0 * dstate", PARTS, "no gradient for the new state",
           "The new state gets no gradient in your code. Live examples carry it on. Look at the two cases.")
freeze.add("dnew =", "dstate, 0", "dstate, dstate / 2", MASK, "half of the padded gradient to the new state",
           "You passed half of the padded examples' gradient to the new state. They kept the old one. Look at the two "
           "cases.")
freeze.add("dold =", None, "dstate", MASK, "live examples reach the old state",
           "You passed the gradient of live examples to the old state directly. It reaches the old state "
           "through the step alone. Look at which of the two states an example carries on.", tensor="old")
freeze.add("dold =", None, "0 * dstate", PARTS, "no gradient for the old state",
           "The gradient of padded examples is lost. They kept the old state, so it gets all of it. Look at where "
           "their gradient goes.", tensor="old")
freeze.add("dold =", "0, dstate", "dstate, 0", MASK, "mask inverted for the old state",
           "You gave the old state the gradients of the live examples. Look at what True means in the mask.",
           tensor="old")
freeze.add("dold =", "0, dstate", "0, -dstate", SIGN, "sign of what is kept",
           "What padded examples keep has the other sign in your code. A state that is kept has the derivative one. "
           "Look at the sign.", tensor="old")
freeze.add("return dnew", "dnew, dold", "dold, dnew", SHAPE, "new and old exchanged",
           "You returned the two in the other order. The first is the gradient of the new state. Look at what the "
           "caller expects.")

unroll = Table("minibn.equations.recurrence", "unroll_backward", "Section 3", "bnlstm sequence, masked", "x_term")
CARRY = "dstate = (dstate[0]"
unroll.add(CARRY, "dstate[0] + dh[t]", "dh[t]", PARTS, "later steps dropped from h",
           "You forgot what later steps pass back to the output. Each state is used twice: by the loss of its step, "
           "and by the next step. Look at what arrives from step t+1.")
unroll.add(CARRY, "dstate[0] + dh[t]", "dstate[0]", PARTS, "the step's own loss dropped",
           "You left out the loss terms of the step itself. Look at where `dh` comes in.", tensor="b")
unroll.add(CARRY, "dh[t]", "dh[-1]", TIME, "the last step's loss at every step",
           "You added the loss terms of the last step at every step. Each step has its own. Look at the index.",
           tensor="b")
unroll.add(CARRY, "dh[t]", "dh[t - 1]", TIME, "the loss of the step before",
           "You added the loss terms of another step: one too early. Look at the index of `dh`.")
unroll.add(CARRY, "*dstate[1:]", "*(0 * d for d in dstate[1:])", PARTS, "later steps dropped from c",
           "You lost what later steps pass back along the cell. Look at the second state.")
unroll.add("for t in", "reversed(range(len(cache.steps)))", "range(len(cache.steps))", TIME, "forwards through time",
           "You went through time from the first step to the last. A gradient of step t needs that of step t+1 first. "
           "Look at the order of the steps.")
unroll.add("totals[name] =", "gradient if name in totals", "gradient * (t > 0) if name in totals", TIME,
           "first step left out of the sums",
           "The gradients of the first step do not come into your sums. All steps share the parameters, the first too. "
           "Look at the end of the loop.", tensor="any")
unroll.add("totals[name] =", "else gradient", "else 0 * gradient", TIME, "last step left out of the sums",
           "The gradients of the last step do not come into your sums. All steps share the parameters, the last too. "
           "Look at how the sums begin.", tensor="any")
unroll.add("dnew, dold =", "cache.mask[t]", "cache.mask[t - 1]", TIME, "mask of another step",
           "You used the mask of the step before. Look at the index of the mask.")
unroll.add("upstream =", "dnew", "dstate", MASK, "padded examples not frozen",
           "You passed the gradient of padded examples through the step. They kept their state, and the step had no "
           "effect on them. Look at what reaches the step.")
unroll.add("step =", "cache.steps[t]", "cache.steps[-1]", TIME, "cache of another step",
           "You used what the last step had computed at every step. Look at the index of the cache.", tensor="W_h")
unroll.add("dx_term[t] =", '"dx_term"', '"dh_linear"', WRONG, "input term takes the recurrent one's",
           "You stored the gradient of W_h h_{t-1} for that of the input term. Where a batch norm comes after the "
           "product, "
           "they differ. Look at the name.")
unroll.add("totals[name] =", None, "gradient", SUM, "one step instead of the sum over time",
           "You kept the gradient of one step. The same parameter serves every step, so its gradients add up. Look at "
           "what happens to the sum so far.", tensor="W_h")
unroll.add("totals[name] =", None, "totals.get(name, gradient)", SUM, "the last step instead of the sum over time",
           "You kept the gradient of the last step. The same parameter serves every step, so its gradients add up. "
           "Look at what happens to the sum so far.", tensor="gamma_c")
unroll.add("totals[name] =", "totals[name] + gradient", "totals[name] + gradient / len(cache.steps)", SUM,
           "gradients of all but the last step divided by T",
           "You divided by the number of steps. If the loss is a mean, `dh` holds that factor already. Look at what "
           "you "
           "add to the sum.", tensor="W_h")
unroll.add("totals[name] =", None,
           "totals[name] + gradient / len(cache.steps) if name in totals else gradient / len(cache.steps)", SUM,
           "gradients divided by T",
           "You divided the gradients by the number of steps. If the loss is a mean, `dh` holds that factor already. "
           "Look at what you add to the sum.", tensor="W_h")
PASS = "dstate = tuple(gradients[name]"
unroll.add(PASS, "tuple(gradients[name] for name in previous)", '(gradients["dh_prev"], *dstate[1:])', WRONG,
           "forget gate left out along the cell",
           "You passed the cell's gradient back as it came, without what the step did to it. Look at which gradients "
           "the step returns for the states before it.", tensor="c_0")
unroll.add(PASS, "in previous", "in previous[::-1]", SHAPE, "h and c exchanged",
           "You passed the gradient of h to c, and that of c to h. Look at the order of the states.", tensor="h_0")
unroll.add(PASS, "gradients[name]", "gradients[name] * 0", PARTS, "nothing goes back in time",
           "Each step stands alone in your code: nothing reaches the step before. Look at what is handed on at the end "
           "of the loop.")
KEPT = "dstate = tuple(d + kept"
unroll.add(KEPT, "d + kept", "d", PARTS, "what a padded example kept is lost",
           "The gradient of states that were kept is lost. A padded example hands it on to the step before. Look at "
           "the second result of the freezing.", tensor="h_0")
unroll.add(KEPT, "d + kept", "kept", PARTS, "only what padded examples kept",
           "You handed on what padded examples kept, and lost what went through the step. Look at the sum of both.",
           tensor="h_0")
unroll.add(KEPT, "tuple(d + kept for d, kept in zip(dstate, dold, strict=True))", "(dstate[0] + dold[0], *dstate[1:])",
           PARTS, "what a padded cell kept is lost",
           "You handed on what the output kept, but not what the cell kept. Both states are frozen. Look at the second "
           "state.", tensor="c_0")

loss_forward = Table("minibn.equations.losses", "softmax_cross_entropy_forward", "Section 5", "loss value, every step")
loss_forward.add("loss =", "weight * log_p_y", "(weight != 0) * log_p_y", SUM, "sum instead of the mean",
                 "You added the losses up. The loss is their mean over all live predictions. Look at the factor in "
                 "front of the sum.")
loss_forward.add("weight = 1 / y.size", "1 / y.size", "1.0", SUM, "sum where nothing is masked",
                 "You added the losses up. The loss is their mean over all predictions. Look at the factor in front of "
                 "the sum.")
loss_forward.add("weight = 1 / y.size", "y.size", "len(y)", SUM, "mean over one axis",
                 "You divided by the size of the first axis alone. The mean is over all predictions, of every step and "
                 "example. Look at how many predictions there are.", check="loss value, every step")
loss_forward.add("weight = 1 / y.size", "y.size", "logits.shape[-1]", SUM, "divided by the number of classes",
                 "You divided by the number of classes. The mean is over the predictions. Look at what is counted.")
loss_forward.add("weight = live", "live / xp.maximum(live.sum(dtype=logits.real.dtype), 1)", "live / y.size", MASK,
                 "padding counted in the mean",
                 "You divided by the number of all predictions, the padded ones too. Look at how many are live.",
                 check="loss value, masked")
loss_forward.add("weight = live", "live / xp.maximum(live.sum(dtype=logits.real.dtype), 1)",
                 "live / xp.maximum(live.sum(axis=0), 1) / live.shape[1]", MASK, "mean of the means of each example",
                 "You averaged over each example first, and then over the examples. Every live prediction has the same "
                 "weight. Look at what is divided by what.", check="loss value, masked")
loss_forward.add("live =", "(mask != 0)", "(mask == 0)", MASK, "mask inverted",
                 "You took the mean over the padded predictions. Look at what True means in the mask.",
                 check="loss value, masked")
loss_forward.add("if mask is None", "mask is None", "True", MASK, "mask ignored",
                 "You counted the padded predictions. Their logits and labels mean nothing. Look at what becomes of "
                 "`mask`.", check="loss value, masked")
loss_forward.add("log_p =", "log_softmax(logits)", "logits", PARTS, "softmax left out",
                 "You took the logits for log probabilities. Only after the softmax are they log probabilities. Look "
                 "at how they are normalized.")
loss_forward.add("log_p =", "log_softmax(logits)", "xp.exp(log_softmax(logits))", WRONG, "logarithm left out",
                 "You averaged the probabilities themselves. Cross-entropy is made of their logarithms. Look at "
                 "the formula of the loss.")
loss_forward.add("loss =", "-(", "(", SIGN, "sign",
                 "Your loss has the other sign. Log probabilities are negative, and a loss is positive. Look at the "
                 "minus in the formula.")
loss_forward.add("loss =", "log_p_y", "log_p", WRONG, "all classes instead of the label",
                 "You added up the log probabilities of all classes. Only that of the right label counts. Look at how "
                 "the label chooses.")
loss_forward.add("loss =", "-(weight * log_p_y).sum()", "-(weight * log_p_y).sum() / xp.log(2)", FACTOR, "bits",
                 "You measured in bits. The loss is in nats here: the logarithm is the natural one. Look at its base.")

loss_backward = Table("minibn.equations.losses", "softmax_cross_entropy_backward", "Section 5", "loss, last step",
                      "logits")
loss_backward.add("one_hot =", "cache.y[..., None]", "0", WRONG, "label ignored",
                  "You subtracted the one from the same class for all. It belongs to the label of each prediction. "
                  "Look at the one-hot vector.")
loss_backward.add("one_hot =", "xp.arange(K) == cache.y[..., None]", "xp.arange(K) != cache.y[..., None]", SIGN,
                  "one-hot inverted",
                  "You subtracted one from every class but the label. Look at where the one-hot vector has its one.")
loss_backward.add("return", " - one_hot", "", PARTS, "label dropped",
                  "Your gradient does not know the label. The softmax alone is the derivative of the normalization. "
                  "Look at the term with the label.")
loss_backward.add("return", "- one_hot", "+ one_hot", SIGN, "label added",
                  "You added the one-hot vector. A larger logit of the label makes the loss smaller. Look at the sign.")
loss_backward.add("return", "xp.exp(cache.log_softmax)", "cache.log_softmax", WRONG, "exp dropped",
                  "You used the log probability for the probability. Look at what the cache holds.")
loss_backward.add("return", " * cache.weight", "", SUM, "mean is a sum",
                  "You did not divide. The loss is a mean, and every prediction has its weight in it. Look at the "
                  "factor of the forward pass.")
loss_backward.add("return", "cache.weight", "(0 * one_hot + cache.weight).mean()", MASK,
                  "padded predictions counted in the mean",
                  "You gave all predictions one weight. Those that are padded have none. Look at `weight`.",
                  check="loss, every step, masked")
loss_backward.add("return", "(xp.exp(cache.log_softmax) - one_hot)", "-(xp.exp(cache.log_softmax) - one_hot)", SIGN,
                  "sign",
                  "A gradient points to where the loss grows, and yours points the other way. Look at the minus of "
                  "the loss.")
loss_backward.add("return", "* cache.weight", "* cache.weight * xp.exp(cache.log_softmax)", FACTOR,
                  "probability twice",
                  "You multiplied by the probability once more. The derivative of the log of a softmax is simpler than "
                  "that of the softmax. Look at what cancels.")
loss_backward.add("return", "* cache.weight", "* cache.weight / xp.log(2)", FACTOR, "bits",
                  "You measured in bits. The loss is in nats: its logarithm is the natural one. Look at its base.")

ROWS = [row for table in (dsigmoid, dtanh, freeze, unroll, loss_forward, loss_backward) for row in table.rows]
