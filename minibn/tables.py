"""Rows of text as a table: in plain columns for a terminal, or in Markdown."""

__all__ = ["markdown_table", "plain_table"]


def plain_table(rows, align="lr"):
    """Columns with two spaces between them.

    Parameters
    ----------
    rows : iterable of sequence
        The heading is just the first of them. Cells are shown by ``str``; None is an empty cell.
    align : str
        "l" or "r" for each column: its cells stand at the left or at the right. The last letter also counts for all
        columns beyond it: "lr" is a column of names and then numbers.

    Returns
    -------
    str
        One line for each row, without an end of line behind the last.

    Raises
    ------
    ValueError
        Rows of different lengths.
    """
    return "\n".join("  ".join(cells).rstrip() for cells in _columns(rows, align))


def markdown_table(rows, align="lr"):
    """A Markdown table that is readable as it is, too; the first row is the heading. Parameters: see `plain_table`."""
    cells = [["" if cell is None else str(cell).replace("|", r"\|") for cell in row] for row in rows]
    # The rule is a row like the others, of at least three characters, for the width of the columns.
    header, rule, *body = _columns([cells[0], ["---"] * len(cells[0]), *cells[1:]], align)
    rule = ["-" * (len(cell) - right) + ":" * right for cell, right in zip(rule, _right(align, len(rule)), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *body))


def _columns(rows, align):
    """The rows, every cell as wide as the widest of its column."""
    rows = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = _right(align, len(widths))
    return [[cell.rjust(width) if r else cell.ljust(width) for cell, width, r in zip(row, widths, right, strict=True)]
            for row in rows]


def _right(align, count):
    return [letter == "r" for letter in align.ljust(count, align[-1])][:count]
