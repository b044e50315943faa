"""Mistakes in the steps of the cells that no rule makes: orders, transposes, what belongs to another time."""

from minibn.cells import CELLS
from minibn.labs.mistakes.row import Table
from minibn.labs.mistakes.rules import rows_of_forward, rows_of_step

PARTS = "a missing part"
FACTOR = "a factor"
WRONG = "the wrong quantity"
SUM = "a sum or a mean"
SIGN = "a sign"
SHAPE = "the order or the shape"
TIME = "the time step"

TRANSPOSED = ("dh_prev =", "W_h.T", "W_h", SHAPE, "W_h not transposed",
              "You multiplied by the recurrent weights as in the forward pass. On the way back their transpose stands "
              "there. Look at the shapes, row vector by row vector.")


def backward_table(cell, equation, totals=False):
    """A table of the cell's backward step, of rows that some gradient or (totals) some quantity shows."""
    return Table(CELLS[cell].module, "step_backward", equation, f"{name_of(cell)} {'totals' if totals else 'step'}, "
                 f"minibatch")


def name_of(cell):
    """The cell as the tests call it: with every option that brings a parameter."""
    when = [parameter.when for parameter in CELLS[cell].parameters.values() if parameter.when]
    return f"{cell} with {when[0]}" if when else cell


def returned(table, title, tensor, explanation, equation=None, **changed):
    """A row of a step's record: the gradients of these names are others, and all else goes on as before."""
    edited = ", ".join(f'"{name}": {value}' for name, value in changed.items())
    table.add("return", "locals()", f"{{**locals(), {edited}}}", SHAPE, title, explanation, tensor=tensor,
              equation=equation, check=f"{table.check.split(' step')[0]} totals, minibatch")


rnn = backward_table("rnn", "Eq. 1")
rnn.add(*TRANSPOSED, tensor="h_prev")
rnn.add("dW_h =", "h_prev.T @ dh_linear", "dh_linear.T @ h_prev", SHAPE, "W_h transposed",
        "You returned the transpose of the gradient of W_h. Its rows belong to the old state, its columns to the new "
        "one. Look at which factor comes first.", tensor="W_h")
rnn.add("db =", ".sum(axis=0)", "", SHAPE, "db not summed over the batch",
        "You did not sum over the batch. One bias serves all examples. Look at the shape of b.", tensor="b")
rnn.add("dh_tilde =", "dh * dtanh(h)", "dh * (1 - h)", "the derivative", "square dropped in dh_tilde",
        "You lost the square in the slope of the tanh. Look at its derivative, written with its value.")
rnn.add("dW_h =", "h_prev.T @ dh_linear", "h_prev.T @ dh_linear / len(dh)", SUM, "dW_h is a mean",
        "You averaged over the batch. All examples share the weights, and their gradients add up. Look at the factor.",
        tensor="W_h")
rnn.add("dh_linear =", None, "2 * dh_tilde", FACTOR, "recurrent term counted twice",
        "The recurrent term gets twice its gradient in your code. It enters the sum once. Look at how often you add "
        "it.", tensor="h_prev")
returned(rnn, "h and h~ exchanged", "h_tilde[", "You returned the gradients before and after the tanh in each other's "
         "place. Look at which one the slope was multiplied into.", dh="dh_tilde", dh_tilde="dh")

rnn_forward = Table(CELLS["rnn"].module, "step_forward", "Eq. 1", "rnn step, minibatch")
rnn_forward.add("h_linear =", "W_h", "W_h.T", SHAPE, "W_h transposed",
                "You multiplied by the transpose of the recurrent weights. States are rows here, and stand on the "
                "left. Look at the shapes.")
rnn_forward.add("h_tilde =", "+ b", "- b", SIGN, "b subtracted",
                "You subtracted the bias. It is added. Look at the sign in Eq. 1.")
rnn_forward.add("h =", "tanh(h_tilde)", "h_tilde", PARTS, "tanh left out",
                "You left the nonlinearity out. The state goes through a tanh at each step. Look at what surrounds the "
                "sum in Eq. 1.")
rnn_forward.add("h =", "tanh(h_tilde)", "tanh(h_linear) + x_term + b", SHAPE, "tanh of the recurrent term only",
                "You put only the recurrent term through the tanh. The whole sum goes through it. Look at where the "
                "parentheses close.")
rnn_forward.add("h =", "tanh(h_tilde)", "h_prev + tanh(h_tilde)", WRONG, "old state added",
                "You added the old state to the new one. The RNN of Eq. 1 does not carry it on. Look at what stands "
                "outside the tanh.")

bn_rnn = backward_table("bnrnn", "Figure 1(a)")
bn_rnn.add(*TRANSPOSED, tensor="h_prev")
returned(bn_rnn, "gradient of the sum before BN", "sum[", "You returned the gradient after the batch norm for that "
         "of the sum before it. Look at what lies between the two.", dsum="dh_tilde")
bn_rnn.add("dsum =", "dsum_bn.a", "dh_tilde", PARTS, "BN skipped",
           "Your gradient skips the batch norm. The sum was normalized, so its gradient comes from the batch "
           "norm's backward. Look at what comes between.", tensor="x_term")
bn_rnn.add("dgamma, db =", "dsum_bn.gamma, dsum_bn.beta", "dsum_bn.beta, dsum_bn.gamma", SHAPE,
           "gamma and b exchanged", "You exchanged the gradients of gamma and of the bias. Look at which one is "
           "weighted with the normalized value.", tensor="gamma")

two_term = backward_table("bnrnn_two_term", "Eq. 6")
two_term.add(*TRANSPOSED, tensor="h_prev")
returned(two_term, "normalized value for the term", "h_term[", "You returned the gradient of the normalized value for "
         "that of the term. Gamma lies between them. Look at the last line of batch norm.", dh_term="dh_bn.hat")
two_term.add("dh_linear =", "dh_bn.a", "dh_term", PARTS, "BN skipped",
             "Your gradient skips the batch norm of the recurrent term. Look at what comes between.",
             tensor="h_prev")


def lstm_rows(cell, last, middle, first, dc):
    """What both LSTMs write alike. The arguments are the numbers of the equations, output first."""
    table = backward_table(cell, first)
    join = "dtilde ="
    table.add(join, "do_tilde, dg_tilde", "dg_tilde, do_tilde", SHAPE, "blocks in the order f i g o",
              "You joined the gate blocks in another order: the last two are exchanged. The paper's order is f, i, o, "
              "g. Look at how the forward pass splits them.", tensor="b")
    table.add(join, "df_tilde, di_tilde", "di_tilde, df_tilde", SHAPE, "blocks in the order i f o g",
              "You joined the gate blocks in another order: the first two are exchanged. The paper's order is f, i, o, "
              "g. Look at how the forward pass splits them.", tensor="b")
    table.add(join, "df_tilde, di_tilde, do_tilde, dg_tilde", "di_tilde, df_tilde, dg_tilde, do_tilde", SHAPE,
              "blocks in the order i f g o",
              "You joined the gate blocks in another library's order: i, f, g, o. The paper's order is f, i, o, g. "
              "Look at how the forward pass splits them.", tensor="b")
    table.add("dW_h =", "h_prev.T @ dh_linear", "h_prev.T @ dh_linear / len(h_prev)", SUM, "dW_h is a mean",
              "You averaged over the batch. All examples share the weights, and their gradients add up. Look at the "
              "factor.", tensor="W_h")
    table.add("dW_h =", "h_prev", "(o * tanh_c)", TIME, "W_h sees h_t",
              "You used the new state. The recurrent weights were multiplied by the state before the step. Look at "
              "the time index.", tensor="W_h")
    table.add("dW_h =", "h_prev.T", "abs(h_prev).T", SIGN, "sign of h_{t-1}",
              "You lost the sign of the old state. Look at the factor of the weights in the forward pass.",
              tensor="W_h")
    table.add("dh_prev =", "dh_linear @ W_h.T", "dh_linear[:, :W_h.shape[0]] @ W_h[:, :W_h.shape[0]].T", PARTS,
              "one gate of four reaches h_{t-1}",
              "Only one gate reaches the old state in your code. The old state enters all four. Look at how many "
              "blocks W_h has.",
              tensor="h_prev")
    table.add(*TRANSPOSED[:2], "W_h[:, [*range(W_h.shape[0])] * 4].T", WRONG, "one block of W_h for all four",
              "You used the weights of one gate for all four. Each gate has a block of its own. Look at the shape of "
              "W_h.", tensor="h_prev")
    table.add("dh_linear =" if cell == "lstm" else "dh_term =", "dtilde", "2 * dtilde", FACTOR,
              "recurrent term counted twice",
              "The recurrent term gets twice its gradient in your code. It enters the sum once. Look at how often you "
              "add it.", tensor="h_prev")
    table.add("df =", "c_prev", "(f * c_prev + i * g)", TIME, "c_t for c_{t-1} in df",
              "You used the new cell. The forget gate multiplies the cell before the step. Look at the time index in "
              "the equation of the cell.", tensor="b", equation=middle)
    table.add("df_tilde =", "dsigmoid(f)", "(1 - f)", "the derivative", "f left out of the slope of f",
              "You have one of the two factors of the sigmoid's slope. Look at its derivative.",
              equation=middle)
    table.add("dg_tilde =", "dtanh(g)", "(1 - g)", "the derivative", "square dropped in the slope of g",
              "You lost the square in the slope of the tanh. Look at its derivative, written with its value.",
              equation=middle)
    table.add("dc_prev =", f"{dc} * f", f"{dc} * (1 - i)", WRONG, "1 - i for f",
              "You coupled the gates: what is kept is one minus what is written. The LSTM of the paper has a forget "
              "gate of its own. Look at the factor of the old cell.", equation=middle)
    table.add("di =", "* g", "* dtanh(g)", WRONG, "slope of g in di",
              "You put the slope of the candidate into the gradient of the input gate. That slope belongs to the "
              "candidate's own line. Look at the product i g.", equation=middle)
    table.add("do =", "* tanh_c", "* tanh_c * dsigmoid(o)", FACTOR, "slope of o twice",
              "The slope of the output gate comes in twice. Look at what do_tilde multiplies in.", equation=last)
    table.add("do =", "dh * tanh_c", "dh * (f * c_prev + i * g)", WRONG, "c for tanh(c) in do",
              "You multiplied by the cell itself. The output gate multiplies the cell after its tanh. Look at the "
              "equation of h.", equation=last)
    table.add("dtanh_c =", "dh * o", "dh * dsigmoid(o)", WRONG, "slope of o in dtanh_c",
              "You put the slope of the output gate on the path to the cell. There the gate itself is the factor. Look "
              "at the product o tanh(c).", equation=last)
    table.add("dc_term =", "dtanh(tanh_c)", "(1 - tanh_c)", "the derivative", "square dropped in the slope of tanh(c)",
              "You lost the square in the slope of the output's tanh. Look at its derivative, written with its value.",
              equation=last)
    table.add("dc_term =", "dtanh(tanh_c)", "(1 - (f * c_prev + i * g) ** 2)", WRONG, "slope of tanh at c itself",
              "You put the cell into a formula that wants the value of the tanh. Look at what the slope is written "
              "with.", equation=last)
    returned(table, "i and g exchanged", "i[", "You returned the gradients of the input gate and of the candidate in "
             "each other's place. Each holds the other factor. Look at the product i g.", equation=middle, di="dg",
             dg="di")
    return table


def lstm_forward_rows(cell, first, middle, last, terms):
    """What both LSTMs write alike in the forward step."""
    table = Table(CELLS[cell].module, "step_forward", first, f"{name_of(cell)} step, minibatch")
    split = "f_tilde, i_tilde, o_tilde, g_tilde = split"
    for new, title in (("i_tilde, f_tilde, o_tilde, g_tilde", "blocks in the order i f o g"),
                       ("f_tilde, i_tilde, g_tilde, o_tilde", "blocks in the order f i g o"),
                       ("i_tilde, f_tilde, g_tilde, o_tilde", "blocks in the order i f g o"),
                       ("g_tilde, f_tilde, i_tilde, o_tilde", "blocks in the order g f i o")):
        table.add(split, "f_tilde, i_tilde, o_tilde, g_tilde", new, SHAPE, title,
                  "You split the gate blocks in another order. The paper's order is f, i, o, g. Look at the vector on "
                  "the left of the equation.")
    table.add("tilde =", "+ b", "- b", SIGN, "b subtracted",
              "You subtracted the bias. It is added. Look at the sign in the equation.")
    table.add("tilde =", f"{terms} + x_term", f"{terms} * x_term", WRONG, "terms multiplied",
              "You multiplied the recurrent term by the input term. They are added. Look at the equation.")
    table.add("tilde =", "+ b", "+ 2 * b", FACTOR, "b twice",
              "You added the bias twice. There is one bias, for the sum of both terms. Look at how often it stands in "
              "the equation.")
    table.add("c =", "i * g", "(1 - f) * g", WRONG, "1 - f for i",
              "You coupled the gates: what is written is one minus what is kept. The LSTM of the paper has an input "
              "gate of its own. Look at the factor of the candidate.", equation=middle)
    table.add("c =", "f * c_prev + i * g", "i * c_prev + f * g", SHAPE, "f and i exchanged in c",
              "You exchanged the two gates. The forget gate stands beside the old cell. Look at the equation of the "
              "cell.", equation=middle)
    table.add("c =", "f * c_prev + i * g", "f * c_prev - i * g", SIGN, "candidate subtracted",
              "You subtracted what is written. It is added. Look at the sign in the equation of the cell.",
              equation=middle)
    table.add("g =", "tanh(g_tilde)", "g_tilde", PARTS, "tanh left out of g",
              "You left the nonlinearity of the candidate out. The candidate lies between -1 and 1. Look at the "
              "equation of the cell.", equation=middle)
    table.add("o =", "sigmoid(o_tilde)", "o_tilde", PARTS, "sigmoid left out of o",
              "You left the sigmoid of the output gate out. A gate lies between 0 and 1. Look at the equation of h.",
              equation=last)
    table.add("tanh_c =", "tanh(c_term)", "c_term", PARTS, "tanh left out of tanh_c",
              "You left the tanh around the cell out. Look at the equation of h.", equation=last)
    table.add("h =", "o * tanh_c", "o * tanh_c + c", WRONG, "cell added to h",
              "You added the cell to the output. It goes out through the gate alone. Look at the equation of h.",
              equation=last)
    return table


lstm = lstm_rows("lstm", "Eq. 4", "Eq. 3", "Eq. 2", "dc")
returned(lstm, "total of c without what it carries", "c[", "You returned what the output passes to the cell. The total "
         "derivative also holds what step t+1 sends along the cell. Look at the sum of both.", equation="Eq. 3",
         dc="dc_term")
lstm.add("dbeta_c =", "dc_term.sum", "(dc + dc_term).sum", WRONG, "beta_c sees what the cell carries",
         "The gradient of beta_c holds what the next step sends along the cell. The offset is added for the output "
         "alone. Look at which of the two paths it lies on.", tensor="beta_c", equation="Eq. 4")
lstm.add("dc = dc", "dc = dc + dc_term", "dc, f, i = dc + dc_term, i, f", SHAPE, "f and i exchanged",
         "You exchanged the forget gate and the input gate. Look at which of them stands beside the old cell.",
         tensor="c_prev", equation="Eq. 3")
lstm_forward = lstm_forward_rows("lstm", "Eq. 2", "Eq. 3", "Eq. 4", "h_linear")
lstm_forward.add("h_linear =", "h_prev @ W_h", "tanh(h_prev) @ W_h", WRONG, "tanh of the old state",
                 "You put the old state through another tanh. It comes as it is. Look at Eq. 2.")
lstm_forward.add("tanh_c =", "c_term", "c_term + beta_c", FACTOR, "beta_c twice",
                 "You added the offset twice. Look at what the argument of the tanh holds already.", equation="Eq. 4")
lstm_forward.add("c =", None, "f * c_prev + i * g + beta_c", WRONG, "beta_c carried along the cell",
                 "You added the offset to the cell that is carried on. It belongs to the output alone. Look at where "
                 "it stands in Eq. 4.", equation="Eq. 3")
lstm_forward.add("h =", "tanh_c", "tanh(c)", WRONG, "tanh of the cell without its offset",
                 "You took the tanh of the bare cell. The offset comes in before it. Look at Eq. 4.", equation="Eq. 4")

bn_lstm = lstm_rows("bnlstm", "Eq. 8", "Eq. 7", "Eq. 6", "dc_new")
returned(bn_lstm, "before and after BN exchanged", "h_linear[", "You returned the gradients before and after the "
         "batch norm of the recurrent term in each other's place. Look at the order of the two.",
         dh_term="dh_linear", dh_linear="dh_term")
bn_lstm.add("dh_linear =", "dh_bn.a", "dh_term", PARTS, "BN of the recurrent term skipped",
            "Your gradient skips the batch norm of the recurrent term. Look at what comes between it and the "
            "product.", tensor="h_prev")
bn_lstm.add("dc = dc", "dc_bn.a", "dc_term", PARTS, "BN of the cell skipped",
            "Your gradient skips the batch norm of the cell. Look at what comes between the tanh and the cell.",
            tensor="c_prev", equation="Eq. 8")
bn_lstm.add("dgamma_c, dbeta_c =", "dc_bn.gamma, dc_bn.beta", "dc_bn.beta, dc_bn.gamma", SHAPE,
            "gamma_c and beta_c exchanged", "You exchanged the gradients of gamma and beta of the cell's batch norm. "
            "Look at which one is weighted with the normalized value.", tensor="gamma_c", equation="Eq. 8")
bn_lstm_forward = lstm_forward_rows("bnlstm", "Eq. 6", "Eq. 7", "Eq. 8", "h_term")
bn_lstm_forward.add("tilde =", "h_term + x_term", "h_linear + x_term", PARTS, "recurrent term not normalized",
                    "You added the recurrent term as it is. Eq. 6 normalizes it first. Look at which of the two values "
                    "goes into the sum.")
bn_lstm_forward.add("h_term, h_bn =", "h_linear,", "h_linear + x_term,", WRONG, "x_term inside the batch norm too",
                    "You added the input term before the batch norm, and again after it in the sum. Eq. 6 normalizes "
                    "each term on its own. Look at how many batch norms Eq. 6 has.")
bn_lstm_forward.add("h_term, h_bn =", "0.0", "b", WRONG, "b inside the batch norm too",
                    "You passed the bias to the batch norm of the recurrent term. Its beta is zero: b is added once, "
                    "to the sum. Look at the last argument of BN in Eq. 6.")
bn_lstm_forward.add("tanh_c =", "c_term", "c", PARTS, "cell not normalized for the output",
                    "You took the tanh of the bare cell. Eq. 8 normalizes it for the output. Look at its argument.",
                    equation="Eq. 8")
bn_lstm_forward.add("h =", "h = o * tanh_c", "h, c = o * tanh_c, c_term", WRONG, "cell carried on normalized",
                    "You carried the normalized cell to the next step. The paper normalizes it for the output alone, "
                    "so that the gradient along the cell is scaled by the forget gate only. Look at what Eq. 7 takes "
                    "for the old cell.", equation="Eq. 8")
bn_lstm_forward.add("c =", "live, f * c_prev + i * g", "None, f * c_prev + i * g", "the mask or the statistics",
                    "padded cells not kept",
                    "You gave padded examples a new cell. They keep the one they have. Look at what `live` is for.",
                    equation="Eq. 7")

HAND = [row for table in (rnn, rnn_forward, bn_rnn, two_term, lstm, lstm_forward, bn_lstm, bn_lstm_forward)
        for row in table.rows]
BACKWARD = [row for name, cell in CELLS.items() for row in rows_of_step(cell, f"{name_of(name)} step, minibatch")]
FORWARD = [row for name, cell in CELLS.items() for row in rows_of_forward(cell, f"{name_of(name)} step, minibatch")]
ROWS = [*HAND, *BACKWARD, *FORWARD]
