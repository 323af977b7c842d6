"""Distributions as pictures: every sample is in them, not only a bar of its mean."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from benchmarks.harness.record import percentile
from benchmarks.harness.workload import Chart, Kind, Series

# Told apart by people who do not see all colours (Okabe and Ito); peers are grey and dashed.
_OURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_PEERS: Final = ("#555555", "#888888", "#AAAAAA", "#777777", "#999999", "#BBBBBB")
_STYLES: Final = ("--", ":", "-.")
_WIDE, _HIGH, _ROW, _DPI = 7.5, 3.8, 0.42, 100
_LABEL: Final = 34  # characters a line beside a strip
_DOTS: Final = 400  # a row of a strip; more would only be ink
_COLOURS: Final = 64  # of a picture in the repository: small, and no eye sees the difference


def draw(chart: Chart, folder: Path) -> Path:
    """Writes one PNG; returns where. Series without samples are left out."""
    series = [one for one in chart.series if one.figure.samples]
    high = 1.2 + _ROW * len(series) if chart.kind is Kind.STRIPS else _HIGH
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        picture = Picture(figsize=(_WIDE, high), dpi=_DPI)
        axes = picture.add_subplot()
        _DRAWN[chart.kind](axes, series, chart)
        axes.set_title(chart.title, loc="left", fontsize=10)
        axes.grid(visible=True, color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        picture.tight_layout()
        return _write(picture, folder / f"{chart.file}.png")


def _curves(axes: Axes, series: list[Series], chart: Chart) -> None:
    for one, (colour, style) in zip(series, _pens(series), strict=True):
        cut = percentile(one.figure.samples, 95)
        label = f"{one.name} (n {len(one.figure.samples)}, p95 {cut:.3g} {one.figure.unit})"
        axes.ecdf(one.figure.samples, color=colour, linestyle=style, linewidth=1.6, label=label)
    _measure_along_x(axes, series, chart)
    axes.set_ylabel("share of samples")
    axes.set_ylim(0, 1.02)
    _legend(axes, series)


def _strips(axes: Axes, series: list[Series], chart: Chart) -> None:
    luck = random.Random(0)  # the same picture for the same samples
    for at, (one, (colour, _)) in enumerate(zip(series, _pens(series), strict=True)):
        samples = one.figure.samples
        shown = samples if len(samples) <= _DOTS else luck.sample(samples, _DOTS)
        heights = [at + luck.uniform(-0.28, 0.28) for _ in shown]
        axes.plot(shown, heights, ".", color=colour, alpha=0.35, markersize=3, markeredgewidth=0)
        for percent in (50, 95):
            cut = percentile(samples, percent)
            axes.plot([cut, cut], [at - 0.38, at + 0.38], color=colour, linewidth=1.8)
    axes.set_yticks(range(len(series)), [fill(one.name, _LABEL) for one in series])
    axes.set_ylim(len(series) - 0.4, -0.6)
    _measure_along_x(axes, series, chart, " (strokes: p50, p95)")


def _course(axes: Axes, series: list[Series], chart: Chart) -> None:
    for one, (colour, style) in zip(series, _pens(series), strict=True):
        places = one.at or tuple(range(len(one.figure.samples)))
        axes.plot(places, one.figure.samples, color=colour, linestyle=style, label=one.name)
    for name, value in chart.marks.items():
        axes.axhline(value, color="#000000", linewidth=0.9, linestyle=(0, (1, 2)))
        axes.annotate(name, (0.01, value), xycoords=("axes fraction", "data"), va="bottom")
    axes.set_xlabel(chart.along)
    if series:
        axes.set_ylabel(f"{series[0].figure.name}, {series[0].figure.unit}")
    if chart.logarithmic:
        axes.set_yscale("log")
        _plain(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
    _legend(axes, series)


_DRAWN: Final[dict[Kind, Callable[[Axes, list[Series], Chart], None]]] = {
    Kind.CURVES: _curves,
    Kind.STRIPS: _strips,
    Kind.COURSE: _course,
}


def _pens(series: list[Series]) -> list[tuple[str, str]]:
    """A colour and a line style for each."""
    ours = peers = 0
    pens: list[tuple[str, str]] = []
    for one in series:
        if one.peer:
            pens.append((_PEERS[peers % len(_PEERS)], _STYLES[peers % len(_STYLES)]))
            peers += 1
        else:
            pens.append((_OURS[ours % len(_OURS)], "-"))
            ours += 1
    return pens


def _measure_along_x(axes: Axes, series: list[Series], chart: Chart, more: str = "") -> None:
    names = dict.fromkeys(f"{one.figure.name}, {one.figure.unit}" for one in series)
    units = dict.fromkeys(one.figure.unit for one in series)
    axes.set_xlabel(("; ".join(names if len(names) == 1 else units)) + more)
    for name, value in chart.marks.items():
        axes.axvline(value, color="#000000", linewidth=0.9, linestyle=(0, (1, 2)))
        axes.annotate(
            name, (value, 0.02), xycoords=("data", "axes fraction"), rotation=90, ha="right"
        )
    if chart.logarithmic:
        axes.set_xscale("log")
        _plain(axes.xaxis)
    else:
        axes.set_xlim(left=0)


def _plain(axis: Axis) -> None:
    """A logarithmic axis says 200, not 2 × 10²."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def _legend(axes: Axes, series: list[Series]) -> None:
    if series:
        axes.legend(loc="best", fontsize=8, frameon=False)


def _write(picture: Picture, path: Path) -> Path:
    raw = io.BytesIO()
    picture.savefig(raw, format="png", metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(raw) as image:
        image.convert("RGB").quantize(_COLOURS).save(path, optimize=True)
    return path
