"""perf/page.py — pages of docs/performance that are partly written by hand, and their plots.

The generated part of a page stands between two marker lines; the rest is left as it is.
"""
import pathlib

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
COLORS = ["#1f5fa8", "#b03020", "#2f7d32", "#8a5a00", "#6a3d9a", "#555555"]


def replace_generated(path, text, title):
    """Put text between the markers; make the page if it is missing."""
    page = pathlib.Path(path)
    old = page.read_text() if page.exists() else f"# {title}\n\n{BEGIN}\n{END}\n"
    before, rest = old.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n{text.strip()}\n{END}{after}")


def pyplot():
    """matplotlib, drawing SVG files that are equal for equal data."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "ringlog", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False})
    import matplotlib.pyplot
    return matplotlib.pyplot


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    pyplot().close(figure)


def draw_curve(axis, xs, ys, label, color):
    """A line over medians, logarithmic below."""
    axis.plot(xs, ys, marker="o", markersize=4, linewidth=1.4, label=label, color=color)
    axis.set_xscale("log")
    axis.grid(color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
