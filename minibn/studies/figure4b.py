"""Figure 4(b): error while training on questions; the paper's are about the full text of each piece of news."""

from minibn.studies.question_runs import figure4

FIGURE = figure4("figure4b", "full", "the same; the paper's: the news in full, LSTM and BN-e** alone")
