"""Figure 4(a): error while training on questions; the paper's are about four sentences of each piece of news."""

from minibn.studies.question_runs import figure4

FIGURE = figure4("figure4a", "top4", "error while training on questions; the paper's: four sentences of the news")
