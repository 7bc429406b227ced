"""Pictures: colours that colour-blind people tell apart, and a card that reads on light and on dark pages.

matplotlib comes with the extra `plots`; it draws into files only, no screen is needed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.errors import EmberwatchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER = "#fafaf7"
INK = "#262626"
FAINT = "#8a8a85"
GRID = "#dddcd6"

BLUE = "#0072b2"
ORANGE = "#e69f00"
VERMILION = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
"""Of Okabe and Ito (2008); lines differ in dash and marker as well, for print in grey."""

STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": VERMILION, "marker": "s", "linestyle": "--"},
    {"color": GREEN, "marker": "^", "linestyle": "-."},
    {"color": PURPLE, "marker": "D", "linestyle": ":"},
    {"color": ORANGE, "marker": "v", "linestyle": "-"},
    {"color": INK, "marker": "x", "linestyle": "--"},
)

DOTS_PER_INCH = 130


@contextmanager
def picture(file: Path, *, width: float, height: float, **panels: Any) -> Iterator[tuple["Figure", Any]]:
    """Open a figure of `width` by `height` inches with its panels; it is written when the block ends well.

    Raises `EmberwatchError` where matplotlib is missing or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EmberwatchError("pictures need matplotlib: pip install 'emberwatch[plots]'") from error
    figure = Figure(figsize=(width, height), facecolor=PAPER, layout="constrained")
    yield figure, figure.subplots(**panels)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=DOTS_PER_INCH, format="png", metadata={"Software": None})
    except OSError as error:
        raise EmberwatchError(f"{file}: {error.strerror or error}") from error


def plain(panel: "Axes") -> None:
    """Give a panel quiet axes and a faint grid."""
    panel.set_facecolor(PAPER)
    panel.grid(visible=True, color=GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    for side, spine in panel.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(FAINT)
    panel.tick_params(colors=INK, labelsize=9)
