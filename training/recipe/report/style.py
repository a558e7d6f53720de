"""How all plots look: light, and in the colours of Okabe & Ito, which the colour-blind can tell apart."""

import io
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#AA4499", "#56B4E9"
INK, GREY, PALE = "#1f2933", "#7b8794", "#e4e7eb"
WIDTH, HALF = 9.0, 5.0  # inches, of a plot as wide as the page or as half of it
_DOTS_PER_INCH = 150

_LOOK: Any = {  # matplotlib types it as 300 literals
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "text.color": INK,
    "text.parse_math": False,  # a label may hold dollars
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
}
P = ParamSpec("P")


def png(paint: Callable[P, Figure]) -> Callable[P, bytes]:
    """Makes a function that paints a figure one that gives it as PNG. Nothing outside of the call is changed."""

    @wraps(paint)
    def render(*args: P.args, **kwargs: P.kwargs) -> bytes:
        with mpl.rc_context(_LOOK):
            buffer = io.BytesIO()
            paint(*args, **kwargs).savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
        return buffer.getvalue()

    return render
