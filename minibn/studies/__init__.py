"""The paper's figures: each study computes numbers, and draws them beside the published curves.

    numbers = figure1b.compute()
    figure1b.plot(numbers, ax)
    published_curve("figure_2_pmnist", "BN-LSTM")       # (x, y)
    print(reproduce("figure1a", "runs/figures"))        # picture, table and numbers

Every figure is one file, which declares itself in an object `FIGURE`.
"""

from minibn.studies import figure1a, figure1a_lstm, figure1b, figure2, figure3a, figure3b, figure5
from minibn.studies.everything import reproduce_all
from minibn.studies.figure import Figure
from minibn.studies.figures import FIGURES, reproduce
from minibn.studies.reference import published_curve, published_curves, published_table

__all__ = [
    "FIGURES", "Figure", "figure1a", "figure1a_lstm", "figure1b", "figure2", "figure3a", "figure3b", "figure5",
    "published_curve", "published_curves", "published_table", "reproduce", "reproduce_all",
]  # fmt: skip
