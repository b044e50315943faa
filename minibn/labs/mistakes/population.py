"""Mistakes with statistics at test time: which row, how they are continued, how they are averaged (Section 4)."""

from minibn.labs.mistakes.row import Table

PARTS = "a missing part"
SUM = "a sum or a mean"
STATISTICS = "the mask or the statistics"
TIME = "the time step"
SHAPE = "the order or the shape"
WRONG = "the wrong quantity"

rows = Table("minibn.statistics", "rows_at_steps", "Section 4", "population rows")
WHICH = "xp.minimum(xp.arange(first_step, first_step + T), last)"
rows.add("return", WHICH, "xp.minimum(xp.arange(T), last)", TIME, "first_step ignored",
         "You always began with the first row. A later piece of a sequence has the statistics of later steps. Look at "
         "`first_step`.")
rows.add("return", WHICH, "xp.arange(first_step, first_step + T) % (last + 1)", TIME, "begins again at the end",
         "After the last row you began with the first one again. The last row goes on for all later steps. Look at "
         "what happens beyond T_max.")
rows.add("return", WHICH, "xp.minimum(xp.arange(first_step + 1, first_step + 1 + T), last)", TIME,
         "row of the next step",
         "You used the row of the next step. Step t has row t. Look at where you start.")
rows.add("return", WHICH, "xp.minimum(xp.arange(max(first_step - 1, 0), max(first_step - 1, 0) + T), last)", TIME,
         "row of the step before",
         "Where `first_step` is not zero, you used the row of the step before. Step t has row t. Look at where you "
         "start.")
rows.add("return", WHICH, "xp.minimum(xp.arange(first_step, first_step + T), last - 1)", TIME, "last row never used",
         "You continued with the last row but one. Look at the number of the last row.")
rows.add("return", "values[xp.minimum(xp.arange(first_step, first_step + T), last)]",
         "values[xp.minimum(xp.arange(first_step, first_step + T), last)] * "
         "(xp.arange(first_step, first_step + T) <= last)[:, None]", STATISTICS, "zeros beyond the end",
         "You filled up with zeros beyond T_max. A mean and a variance of zero are no statistics: the last row goes "
         "on. Look at what the paper does with longer sequences.")
rows.add("return", "values[xp.minimum(xp.arange(first_step, first_step + T), last)]",
         "values.mean(axis=0) + 0 * values[xp.minimum(xp.arange(first_step, first_step + T), last)]", STATISTICS,
         "averaged over time",
         "You averaged over time. Each step has statistics of its own: that is the point of the paper's Section 4. "
         "Look at the first axis.")
rows.add("return", WHICH, "xp.full(T, last)", TIME, "the last row for all steps",
         "You used the last row for all steps. The first steps have statistics of their own, and theirs differ most. "
         "Look at which step has which row.")
rows.add("return", WHICH, "xp.full(T, min(first_step, last))", TIME, "one row for all steps",
         "You used the row of the first step for all of them. Look at which step has which row.")

ragged = Table("minibn.statistics", "add_ragged", "Section 4", "population sums")
ragged.add("T =", "max", "min", SHAPE, "cut to the shorter",
           "You cut the longer one. Its last steps are lost. The shorter one is continued. Look at which length the "
           "sum has.")
ragged.add("return", "rows_at_steps(b, 0, T)", "rows_at_steps(b[:1], 0, T)", TIME, "first row of the second repeated",
           "You repeated the first row of the second. It has a row for each of its steps. Look at what is repeated.")
ragged.add("return", "rows_at_steps(a, 0, T) + rows_at_steps(b, 0, T)", "rows_at_steps(a, 0, T)", PARTS,
           "second left out", "The second one does not come in. Both batches count alike. Look at the sum.")
ragged.add("return", "rows_at_steps(a, 0, T) + rows_at_steps(b, 0, T)", "rows_at_steps(b, 0, T)", PARTS,
           "first left out", "The first one does not come in. Both batches count alike. Look at the sum.")
ragged.add("return", "rows_at_steps(a, 0, T) + rows_at_steps(b, 0, T)",
           "rows_at_steps(a, 0, T) * (array_module(a).arange(T) < len(a))[:, None] + "
           "rows_at_steps(b, 0, T) * (array_module(b).arange(T) < len(b))[:, None]", STATISTICS,
           "shorter filled up with zeros",
           "You filled the shorter one up with zeros. Then the later steps hold only one of the two. It is "
           "continued with its last row. Look at what stands after its end.")
ragged.add("return", "rows_at_steps(a, 0, T) + rows_at_steps(b, 0, T)",
           "rows_at_steps(a[::-1], 0, T) + rows_at_steps(b[::-1], 0, T)", TIME, "time reversed",
           "Your steps come in reverse. Look at the order of the rows.")
ragged.add("return", "rows_at_steps(a, 0, T) + rows_at_steps(b, 0, T)",
           "(rows_at_steps(a, 0, T) + rows_at_steps(b, 0, T)) / 2", SUM, "mean of the two",
           "You averaged the two. Only their sum is asked for: if you halve here, a third batch does not count like "
           "the "
           "first two. Look at who divides.")
ragged.add("return", "rows_at_steps(a, 0, T) + rows_at_steps(b, 0, T)",
           "rows_at_steps(a, 0, T) - rows_at_steps(b, 0, T)", "a sign", "second subtracted",
           "You subtracted the second. An average adds the batches up. Look at the sign.")

average = Table("minibn.statistics", "average_over_batches", "Section 4", "population average")
TOTAL = "totals[term] = statistics if"
average.add("return", "total / count", "total", SUM, "sum instead of the average",
            "You did not divide by the number of batches. The population's statistics are an average. Look at "
            "what you return.")
average.add("return", "total / count", "total / (count + 1)", SUM, "divided by one too many",
            "You divided by one more than there are batches. Look at how you count.")
average.add("return", "total / count", "total / len(total)", SUM, "divided by the number of steps",
            "You divided by the number of steps. The average is over the batches, step by step. Look at what is "
            "counted.")
average.add("return", "Statistics(*(total / count for total in statistics))",
            "Statistics(*((total / count).mean(axis=0, keepdims=True) + 0 * total for total in statistics))",
            STATISTICS, "averaged over time",
            "You averaged over time too. Each step keeps statistics of its own. Look at the first axis.")
average.add("return", "Statistics(*(total / count for total in statistics))",
            "Statistics(*(total / count for total in statistics[::-1]))", SHAPE, "mean and variance exchanged",
            "You returned the variance for the mean. Look at the order of the two.")
average.add(TOTAL, "Statistics(*map(add_ragged, before, statistics))", "statistics", SUM, "only the last batch",
            "You kept the statistics of the last batch, and divided by the number of all. All batches count alike. "
            "Look at "
            "what happens to the sum so far.")
average.add(TOTAL, "Statistics(*map(add_ragged, before, statistics))", "before", SUM, "only the first batch",
            "You kept the statistics of the first batch, and divided by the number of all. All batches count alike. "
            "Look at "
            "what is added.")
average.add(TOTAL, "Statistics(*map(add_ragged, before, statistics))",
            "Statistics(*(add_ragged(a, b) / 2 for a, b in zip(before, statistics)))", SUM,
            "halved after each batch",
            "You halved after each batch, and divided again at the end. Look at when you divide.")
average.add(TOTAL, "Statistics(*map(add_ragged, before, statistics))",
            "Statistics(*(a[:min(len(a), len(b))] + b[:min(len(a), len(b))] for a, b in zip(before, statistics)))",
            SHAPE, "cut to the shortest batch",
            "You cut all batches to the shortest. The last steps of the longer ones are lost. Look at what a shorter "
            "batch is continued with.")
average.add("for term, statistics in", "of_batch.items()",
            "{term: Statistics(*(values * len(values) for values in statistics)) for term, statistics in "
            "of_batch.items()}.items()", STATISTICS, "weighted by length",
            "You multiplied each batch's statistics by its length. Each batch counts the same. Look at the factor.")

ROWS = [*rows.rows, *ragged.rows, *average.rows]
