"""Tables in Markdown."""

from collections.abc import Sequence


def format_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is words and whose others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_counts(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A confusion matrix: rows are true classes, columns answers."""
    return format_rows(["", *labels], [[label, *map(str, row)] for label, row in zip(labels, counts, strict=True)])
