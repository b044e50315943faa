"""Mistakes in batch normalization: its statistics, its forward pass, its three paths back (Eq. 5)."""

from minibn.labs.mistakes.row import Table

PARTS = "a missing part"
FACTOR = "a factor"
WRONG = "the wrong quantity"
SUM = "a sum or a mean"
SIGN = "a sign"
SHAPE = "the order or the shape"
STATISTICS = "the mask or the statistics"

statistics = Table("minibn.statistics", "batch_statistics", "Eq. 5", "batch_norm value, minibatch")
statistics.add(
    "mean =", "weight @ a", "a.mean(axis=-2, keepdims=True)", STATISTICS, "mean over all rows",
    "You averaged over all rows, the padded ones too. The weights say how much each example counts, and they are zero "
    "where there is padding. Look at what `weight` is for.", check="batch_norm value, masked")
statistics.add(
    "mean =", "weight @ a", "a.sum(axis=-2, keepdims=True)", SUM, "mean is a sum",
    "You added the examples up without dividing by their number. The mean is weighted, and the weights add up to one. "
    "Look at the definition of the weights.")
statistics.add(
    "mean =", "weight @ a", "0 * (weight @ a)", PARTS, "mean is zero",
    "Your mean is zero. Batch norm subtracts the mean of the batch, whatever it is. Look at the first line of Eq. 5.")
statistics.add(
    "mean =", "weight @ a", "a.mean(axis=-1, keepdims=True)[..., :1, :]", SHAPE, "mean over the units",
    "You averaged over the units of an example. Batch norm takes the mean of each unit over the examples. Look at "
    "which axis holds the examples.")
statistics.add(
    "variance =", "(a - mean) ** 2", "(a - mean) ** 2 * a.shape[-2] / (a.shape[-2] - 1)", STATISTICS,
    "unbiased variance",
    "You divided by N - 1. Batch norm uses the biased variance, that of the batch itself, divided by N. Look at how "
    "the paper defines the estimate.")
statistics.add(
    "variance =", "(a - mean) ** 2", "a ** 2", PARTS, "variance without subtracting the mean",
    "You took the mean of the squares. The variance is the mean of the squared distances from the mean. Look at what "
    "is squared.")
statistics.add(
    "variance =", "weight @ (a - mean) ** 2", "((a - mean) ** 2).mean(axis=-2, keepdims=True)", STATISTICS,
    "variance over all rows",
    "Your variance counts the padded rows. The same weights hold for the mean and for the variance. Look at "
    "`weight`.", check="batch_norm value, masked")
statistics.add(
    "variance =", "weight @ (a - mean) ** 2", "((a - mean) ** 2).sum(axis=-2, keepdims=True)", SUM,
    "variance is a sum",
    "You added the squares up without dividing by the number of examples. The weights add up to one. Look at the "
    "definition of the variance.")
statistics.add(
    "variance =", "weight @ (a - mean) ** 2", "(weight @ (a - mean) ** 2) ** 0.5", WRONG,
    "deviation for variance",
    "You returned the standard deviation. The root is taken later, after epsilon is added. Look at what the two "
    "results are called.")
statistics.add(
    "variance =", "(a - mean) ** 2", "(a - mean)", PARTS, "square left out of variance",
    "You averaged the differences without squaring them, and they cancel. Look at the power in the definition.")
statistics.add(
    "return", "mean, variance", "variance, mean", SHAPE, "mean and variance exchanged",
    "You returned the two in the other order. The first is the mean. Look at the fields of the result.")

forward = Table("minibn.equations.batch_norm", "batch_norm_forward", "Eq. 5", "batch_norm value, minibatch")
forward.add(
    "weight = example_weights", "a, mask", "a, None", STATISTICS, "mask ignored",
    "You took the statistics over all rows. Padded examples must not enter them. Look at what becomes of `mask`.",
    check="batch_norm value, masked")
forward.add(
    "if statistics is None", "statistics is None", "True", STATISTICS, "given statistics ignored",
    "You estimated the statistics from the batch although others were given. At test time they come from the training "
    "set. Look at what becomes of `statistics`.", check="batch_norm value, given")
forward.add(
    "mean, variance = statistics", "mean, variance", "variance, mean", SHAPE, "given mean and variance exchanged",
    "You took the given mean for the variance, and the variance for the mean. Look at the order of the two.",
    check="batch_norm value, given")
forward.add(
    "mean, variance = batch_statistics", "batch_statistics(a, weight)",
    "batch_statistics(a, weight)._replace(variance=batch_statistics(a, weight)[1] * a.shape[-2] / (a.shape[-2] - 1))",
    STATISTICS, "unbiased variance",
    "You divided the squares by N - 1. Batch norm uses the biased variance of the batch, divided by N. Look at the "
    "estimate that Eq. 5 names.")
forward.add(
    "inv_std =", "1 / xp.sqrt(variance + eps)", "1 / (xp.sqrt(variance) + eps)", SHAPE, "eps outside the root",
    "You added epsilon to the standard deviation. It belongs to the variance, before the root is taken. Look at how "
    "far the root reaches in Eq. 5.")
forward.add(
    "inv_std =", "variance + eps", "variance", PARTS, "eps left out",
    "You left epsilon out. It keeps the root away from zero where a unit hardly varies over the batch. Look below the "
    "root in Eq. 5.")
forward.add(
    "inv_std =", "1 / xp.sqrt(variance + eps)", "1 / (variance + eps)", PARTS, "root left out",
    "You divided by the variance. Batch norm divides by the standard deviation. Look at the denominator of Eq. 5.")
forward.add(
    "inv_std =", "1 / xp.sqrt(variance + eps)", "xp.sqrt(variance + eps)", FACTOR, "multiplied by the deviation",
    "You multiplied by the standard deviation where Eq. 5 divides by it. Look at what the normalized values' variance "
    "has to be.")
forward.add(
    "inv_std =", "variance + eps", "variance + eps ** 2", FACTOR, "eps squared",
    "You added the square of epsilon. Epsilon itself stands beside the variance. Look below the root in Eq. 5.")
forward.add(
    "hat =", "(a - mean)", "a", PARTS, "mean not subtracted",
    "You did not subtract the mean. Normalized values are centred: their mean over the batch is zero. Look at the "
    "numerator of Eq. 5.")
forward.add(
    "hat =", "a - mean", "a + mean", SIGN, "mean added",
    "You added the mean where it has to be subtracted. Look at the sign in the numerator of Eq. 5.")
forward.add(
    "hat =", "(a - mean) * inv_std", "a - mean * inv_std", SHAPE, "only the mean divided",
    "You divided only the mean by the deviation. The whole difference is divided. Look at where the parentheses "
    "close.")
forward.add(
    "hat =", " * inv_std", "", FACTOR, "deviation left out",
    "You centred the values but did not scale them. Their variance has to become one. Look at the denominator of "
    "Eq. 5.")
forward.add(
    "y =", "gamma * hat", "hat", FACTOR, "gamma left out",
    "You left gamma out. It is the standard deviation that the network learns for each unit. Look at the factor in "
    "Eq. 5.")
forward.add(
    "y =", "beta + ", "", PARTS, "beta left out",
    "You left beta out. It is the mean that the network learns for each unit. Look at what is added in Eq. 5.")
forward.add(
    "y =", "beta + gamma * hat", "gamma * (beta + hat)", SHAPE, "beta inside gamma",
    "You multiplied beta by gamma too. Beta is added after the scaling. Look at the order of the two in Eq. 5.")
forward.add(
    "y =", "gamma * hat", "gamma * gamma * hat", FACTOR, "gamma twice",
    "You multiplied by gamma twice. Look at how often it stands in Eq. 5.")
forward.add(
    "y =", "beta + ", "-beta + ", SIGN, "beta subtracted",
    "You subtracted beta. It is added. Look at the sign in Eq. 5.")
forward.add(
    "y =", "gamma * hat", "hat / gamma", FACTOR, "divided by gamma",
    "You divided by gamma. It multiplies the normalized value. Look at the factor in Eq. 5.")
forward.add(
    "y =", "gamma * hat", "gamma * a", WRONG, "input instead of the normalized value",
    "You scaled the input itself. Gamma scales the normalized value. Look at which of the two stands beside gamma.")

backward = Table("minibn.equations.batch_norm", "batch_norm_backward", "Eq. 5", "batch_norm, minibatch")
backward.add(
    "dbeta =", "sum", "mean", SUM, "dbeta is a mean",
    "You divided the sum over the batch by N. All examples share beta, so their parts of the gradient add up. "
    "Look at how the examples are collected.", tensor="beta")
backward.add(
    "dbeta =", "dy.sum(axis=all_rows)", "dy.sum(axis=all_rows) / len(dy)", SUM, "dbeta divided by the first axis",
    "You divided the sum by the length of the first axis, N or T. All examples share beta, so their parts of "
    "the gradient add up. Look at how the examples are collected.", tensor="beta")
backward.add(
    "dbeta =", "dy", "(gamma * dy)", FACTOR, "dbeta scaled by gamma",
    "You multiplied the gradient of beta by gamma. Beta is added behind gamma, so gamma does not touch it. Look at the "
    "order of the two in the forward pass.", tensor="beta")
backward.add(
    "dbeta =", "all_rows", "-2", SHAPE, "dbeta not summed over time",
    "You summed over the examples but not over the time steps. One beta serves all steps. Look at the shape of beta.",
    tensor="beta", check="batch_norm over time, minibatch")
backward.add(
    "dbeta =", "dy.sum", "(dy * hat).sum", WRONG, "dbeta weighted with the normalized value",
    "You weighted the gradient of beta with the normalized value. That is what gamma gets. Look at the derivative of a "
    "sum with respect to its plain term.", tensor="beta")
backward.add(
    "dgamma =", "hat", "a", WRONG, "dgamma sees the input",
    "You multiplied by the input itself. What gamma scales is the normalized value. Look at the factor beside gamma in "
    "the forward pass.", tensor="gamma")
backward.add(
    "dgamma =", "sum", "mean", SUM, "dgamma is a mean",
    "You divided the sum over the batch by N. All examples share gamma, and their gradients add up. Look at how the "
    "examples are collected.", tensor="gamma")
backward.add(
    "dgamma =", "(dy * hat).sum(axis=all_rows)", "(dy * hat).sum(axis=all_rows) / len(dy)", SUM,
    "dgamma divided by the first axis",
    "You divided the sum by the length of the first axis, N or T. All examples share gamma: their gradients add up. "
    "Look at how the examples are collected.", tensor="gamma")
backward.add(
    "dgamma =", "all_rows", "-2", SHAPE, "dgamma not summed over time",
    "You summed over the examples but not over the time steps. One gamma serves all steps. Look at the shape of gamma.",
    tensor="gamma", check="batch_norm over time, masked")
backward.add(
    "dgamma =", "(dy * hat)", "dy", FACTOR, "dgamma without the normalized value",
    "You summed the upstream gradient alone, which is what beta gets. The derivative of a product with respect to one "
    "factor is the other. Look at what gamma multiplies.", tensor="gamma")
backward.add(
    "dgamma =", "dy * hat", "gamma * dy * hat", FACTOR, "dgamma scaled by gamma",
    "You multiplied by gamma in its own gradient. The output is linear in gamma, so its derivative does not hold it. "
    "Look at the forward line.", tensor="gamma")
backward.add(
    "dhat =", " * gamma", "", FACTOR, "gamma dropped",
    "You left gamma out on the way back. The normalized value was multiplied by it, and so is its gradient. Look at "
    "the last line of the forward pass.", tensor="a")
backward.add(
    "dhat =", "* gamma", "/ gamma", FACTOR, "dhat divided by gamma",
    "You divided by gamma on the way back. A factor of the forward pass is a factor of the gradient too. Look at the "
    "last line of the forward pass.", tensor="a")
backward.add(
    "centred =", " - mean", "", PARTS, "mean not subtracted",
    "You used the input where the centred value belongs. What the deviation scales is the distance from the mean. Look "
    "at the numerator of Eq. 5.", tensor="a")
backward.add(
    "dinv_std =", "centred", "hat", WRONG, "normalized products for the deviation",
    "You multiplied by the normalized value. The inverse deviation multiplies the centred value, before it is "
    "normalized. Look at the factor beside it in the forward pass.", tensor="inv_std",
    check="batch_norm totals, minibatch")
backward.add(
    "dinv_std =", "(dhat * centred)", "dhat", FACTOR, "centred value dropped from the product",
    "You summed the gradient without its factor. The derivative of a product with respect to the inverse deviation is "
    "the centred value. Look at the line that normalizes.", tensor="a")
backward.add(
    "dinv_std =", ".sum(axis=-2, keepdims=True)", "[..., :1, :]", SUM, "one example instead of the batch",
    "You took the first example only. One deviation serves the whole batch, so its gradient is a sum over all of it. "
    "Look at the shape of the deviation.", tensor="a")
backward.add(
    "dinv_std =", ".sum(", ".mean(", SUM, "dinv_std is a mean",
    "You averaged over the batch. One deviation serves all examples, and their gradients add up. Look at how the "
    "examples are collected.", tensor="a")
backward.add(
    "dvariance =", "-0.5 * inv_std", "0 * inv_std", PARTS, "path through the variance dropped",
    "Nothing flows through the variance in your code. Every example moves the variance of its batch. Look for the "
    "third path back.", tensor="a")
backward.add(
    "dvariance =", "-0.5", "0.5", SIGN, "sign of the path through the variance",
    "The path through the variance has the other sign in your code. A larger variance makes the normalized values "
    "smaller in size. Look at the derivative of the inverse root.", tensor="a")
backward.add(
    "dvariance =", "-0.5 * inv_std", "-inv_std", FACTOR, "one half of the root dropped",
    "You lost the one half that the root brings. The power rule puts the exponent in front. Look at the derivative of "
    "v to the power of -1/2.", tensor="a")
backward.add(
    "dvariance =", "(inv_std * (inv_std * dinv_std))", "(inv_std * dinv_std)", FACTOR,
    "power of the inverse deviation",
    "You have one factor of the inverse deviation too few. The power rule lowers the exponent by one. Look at the "
    "derivative of v to the power of -1/2.", tensor="a")
backward.add(
    "dmean =", None, "0 * inv_std", PARTS, "path through the mean dropped",
    "Nothing flows through the mean in your code. Every example moves the mean of its batch. Look for the second path "
    "back.", tensor="a")
backward.add(
    "dmean =", "-(", "(", SIGN, "sign of the path through the mean",
    "The path through the mean has the other sign in your code. The mean is subtracted. Look at the numerator of "
    "Eq. 5.",
    tensor="a")
backward.add(
    "dmean =", "(dhat * inv_std)", "dhat", FACTOR, "deviation dropped from the path through the mean",
    "You did not divide by the deviation on the way to the mean. The difference from the mean was scaled by it. Look "
    "at the line that normalizes.", tensor="mean", check="batch_norm totals, minibatch")
DA = "da ="
WEIGHT = "xp.swapaxes(weight, -1, -2)"
backward.add(
    DA, f" {WEIGHT} *", "", FACTOR, "1/N dropped",
    "You left out how much one example moves the mean and the variance: a share of one in N. Look at the derivative of "
    "a mean with respect to one of its values.", tensor="a")
backward.add(
    DA, WEIGHT, "1 / (a.shape[-2] - 1)", STATISTICS, "1/(N-1) for 1/N",
    "You divided by N - 1. The batch's own, biased variance divides by N, and so does its gradient. Look at the "
    "definition of the statistics.", tensor="a")
backward.add(
    DA, WEIGHT, "1 / a.shape[-2]", STATISTICS, "1/N where the mask counts",
    "You divided by the number of all rows. Padded rows do not enter the statistics: their share is zero, and that of "
    "the others is one in the number of live ones. Look at `weight`.", tensor="a", check="batch_norm, masked")
backward.add(
    DA, "2 * centred", "centred", FACTOR, "2 of the square dropped",
    "You lost the 2 that the square brings. The power rule puts the exponent in front. Look at the derivative of the "
    "variance with respect to one value.", tensor="a")
backward.add(
    DA, "2 * centred", "2 * hat", WRONG, "normalized for the centred value",
    "You used the normalized value in the path through the variance. The variance is made of the centred values. Look "
    "at its definition.", tensor="a")
backward.add(
    DA, "2 * centred", "2 * a", WRONG, "input for the centred value",
    "You used the input itself in the path through the variance. The variance is made of the distances from the mean. "
    "Look at its definition.", tensor="a")
backward.add(
    DA, "dhat * inv_std + ", "", PARTS, "direct path dropped",
    "You have the two paths through the statistics, but not the direct one: each value also moves its own normalized "
    "value. Look for the first path back.", tensor="a")
backward.add(
    DA, "dhat * inv_std", "dhat", FACTOR, "deviation dropped from the direct path",
    "You did not divide by the deviation on the direct path. The centred value was scaled by it. Look at the line "
    "that normalizes.", tensor="a")
backward.add(
    DA, f"{WEIGHT} * (dmean + 2 * centred * dvariance)", f"{WEIGHT} * dmean + 2 * centred * dvariance", SHAPE,
    "1/N for the mean only",
    "You weighted the path through the mean, but not that through the variance. Both statistics are means over the "
    "batch. Look at where the parentheses close.", tensor="a")
backward.add(
    DA, "dmean + ", "", PARTS, "mean left out of da",
    "You computed the gradient of the mean, but it does not come into that of the input. Every example moves the mean "
    "of its batch. Look at what the last line adds up.", tensor="a")
backward.add(
    DA, " + 2 * centred * dvariance", "", PARTS, "variance left out of da",
    "You computed the gradient of the variance, but it does not come into that of the input. Every example moves the "
    "variance of its batch. Look at what the last line adds up.", tensor="a")
backward.add(
    "return", "dvariance, dinv_std", "dinv_std, dvariance", SHAPE, "variance and deviation exchanged",
    "You returned the gradients of the variance and of the inverse deviation in each other's place. Look at the order "
    "of the fields.", tensor="variance", check="batch_norm totals, minibatch")
backward.add(
    "return", "dhat", "dy", WRONG, "upstream gradient returned for dhat",
    "You returned the upstream gradient for that of the normalized value. Gamma lies between the two. Look at the last "
    "line of the forward pass.", tensor="hat", check="batch_norm totals, minibatch")

ROWS = [*statistics.rows, *forward.rows, *backward.rows]
