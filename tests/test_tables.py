"""The table writer: columns of text, plain and in Markdown."""

import pytest

from minibn.tables import markdown_table, plain_table

ROWS = [("", "bits", "how"), ("LSTM", 1.5, None), ("BN-LSTM", "10.25", "a|b")]


def test_plain_columns_have_two_spaces_between_and_none_behind():
    assert plain_table(ROWS, "lrl") == (
        "          bits  how\n"
        "LSTM       1.5\n"
        "BN-LSTM  10.25  a|b")


def test_the_last_letter_counts_for_all_further_columns():
    assert plain_table(ROWS) == plain_table(ROWS, "lrr") != plain_table(ROWS, "l") == plain_table(ROWS, "lll")
    assert plain_table([["a", "b"]], "lrlr") == "a  b"


def test_markdown_keeps_its_columns_and_escapes_its_bars():
    assert markdown_table(ROWS, "lrl") == (
        "|         |  bits | how  |\n"
        "| ------- | ----: | ---- |\n"
        "| LSTM    |   1.5 |      |\n"
        "| BN-LSTM | 10.25 | a\\|b |")
    assert markdown_table([["t"], [3]], "r") == "|   t |\n| --: |\n|   3 |"


@pytest.mark.parametrize("table", [plain_table, markdown_table])
def test_rows_are_of_one_length(table):
    with pytest.raises(ValueError):
        table([["a", "b"], ["c"]])
