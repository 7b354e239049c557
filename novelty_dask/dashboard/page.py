"""The page ``/novelty`` on the dashboard of a scheduler, drawn by Bokeh.

Dask has no public way to add a page, but two that have long been stable: a table of its pages, which is read
when a scheduler starts, and the applications of its web server.
"""

from __future__ import annotations

import logging
from typing import Any

from bokeh.layouts import column, row
from bokeh.models import BasicTicker, ColorBar, ColumnDataSource, Div, LinearColorMapper
from bokeh.palettes import Viridis256
from bokeh.plotting import figure

from novelty_dask.dashboard.board import STATES, Board
from novelty_dask.dashboard.tables import COLORS, heading, stage_table, worker_memory
from novelty_dask.dashboard.tiles import shrink

PAGE = "novelty"
ALONE = "individual-novelty-tiles"
"""Name of the map of tiles alone, as JupyterLab's extension lists it."""
UPDATE_MILLISECONDS = 1_000
logger = logging.getLogger(__name__)


class BoardView:
    """Drawing of a board on the page; it is drawn again every second."""

    def __init__(self, scheduler: Any, board: Board) -> None:
        self.scheduler = scheduler
        self.board = board
        self.heading = Div(sizing_mode="stretch_width", name="novelty_heading")
        self.stages = Div(sizing_mode="stretch_width", name="novelty_stages")
        self.tiles = ColumnDataSource({"state": [], "seconds": [], "dw": [], "dh": []}, name="novelty_tiles")
        self.memory = ColumnDataSource(
            {name: [] for name in ("worker", "used", "projected", "limit")}, name="novelty_memory"
        )
        states = LinearColorMapper([*COLORS], low=-0.5, high=len(STATES) - 0.5, nan_color="white")
        self.spread = LinearColorMapper(Viridis256, low=0, high=1, nan_color="#eeeeee")
        self.map = self._map("Tiles: " + ", ".join(STATES), "state", states)
        self.times = self._map("Tiles: seconds", "seconds", self.spread)
        self.times.add_layout(ColorBar(color_mapper=self.spread), "right")
        self.workers = self._workers()
        self.root = column(
            self.heading,
            self.stages,
            row(self.map, self.times, sizing_mode="stretch_width"),
            self.workers,
            sizing_mode="stretch_width",
        )

    def _map(self, title: str, values: str, colors: LinearColorMapper) -> Any:
        """Return a figure of the tiles."""
        drawn = figure(
            title=title,
            height=260,
            x_axis_label="span",
            y_axis_label="group",
            tools="hover",
            tooltips=[("span", "$x{0}"), ("group", "$y{0}"), (values, "@" + values)],
            toolbar_location=None,
            sizing_mode="stretch_width",
        )
        drawn.x_range.range_padding = drawn.y_range.range_padding = 0
        drawn.grid.visible = False
        # Spans and groups are whole numbers.
        for axis in (drawn.xaxis, drawn.yaxis):
            axis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
        drawn.image(values, x=0, y=0, dw="dw", dh="dh", source=self.tiles, color_mapper=colors)
        return drawn

    def _workers(self) -> Any:
        """Return a figure of the memory of each worker, beside its projection."""
        drawn = figure(
            title="Memory of each worker in GB: used (bar), projected (line), limit (dashes)",
            height=220,
            y_range=[""],
            tools="",
            toolbar_location=None,
            sizing_mode="stretch_width",
        )
        drawn.x_range.start = 0
        drawn.hbar("worker", right="used", height=0.6, source=self.memory, color=COLORS[2])
        mark = {"marker": "dash", "angle": 1.5708, "size": 24, "line_width": 2, "source": self.memory}
        drawn.scatter("projected", "worker", color="black", **mark)
        drawn.scatter("limit", "worker", color=COLORS[3], line_dash="dotted", **mark)
        return drawn

    def update(self) -> None:
        """Draw what the board says now."""
        run = self.board.run
        self.heading.text = heading(run, self.board.deaths)
        self.stages.text = stage_table(run)
        memory = worker_memory(self.scheduler, run)
        if memory["worker"] != self.workers.y_range.factors:
            self.workers.y_range.factors = memory["worker"] or [""]
            self.workers.height = 100 + 26 * max(len(memory["worker"]), 2)
        self.memory.data = memory
        tiles = (
            next((each.tiles for each in reversed(run.stages.values()) if each.tiles), None) if run else None
        )
        if tiles is not None:
            states, seconds, longest = shrink(tiles)
            self.spread.high = longest
            size = {"dw": [tiles.n_spans], "dh": [tiles.n_groups]}
            self.tiles.data = {"state": [states], "seconds": [seconds], **size}


def _document(scheduler: Any, extra: dict[str, Any], document: Any, *, only_tiles: bool = False) -> None:
    """Fill a document that a browser asks for."""
    from distributed.dashboard.components import add_periodic_callback  # noqa: PLC0415
    from distributed.dashboard.components.scheduler import env  # noqa: PLC0415

    plugin = scheduler.plugins.get("novelty-dashboard")
    view = BoardView(scheduler, plugin.board if plugin else Board())
    view.update()
    document.title = "Dask: novelty"
    add_periodic_callback(document, view, UPDATE_MILLISECONDS)
    document.add_root(view.map if only_tiles else view.root)
    if not only_tiles:
        document.template = env.get_template("simple.html")
        document.template_variables.update(extra)
        document.template_variables["active_page"] = PAGE


def _tiles_document(scheduler: Any, extra: dict[str, Any], document: Any) -> None:
    """Fill a document with the map of the tiles alone."""
    _document(scheduler, extra, document, only_tiles=True)


def announce_page() -> None:
    """Add the page to those that each scheduler of this process will have; do nothing without Bokeh."""
    try:
        from distributed.dashboard.scheduler import applications  # noqa: PLC0415
    except ImportError:
        return
    applications[f"/{PAGE}"] = _document
    applications[f"/{ALONE}"] = _tiles_document


def has_page(scheduler: Any, page: str = PAGE) -> bool:
    """Return whether a scheduler has a page."""
    applications = scheduler.http_application.applications
    return any(f"/{page}" in getattr(each, "app_paths", ()) for each in applications)


def add_page(scheduler: Any) -> None:
    """Add the page to a scheduler that runs, unless it has it, or shows no pages at all."""
    # Whatever goes wrong, and it is another version of Dask then, the scheduler has to go on.
    try:
        if not has_page(scheduler, "status"):
            return
        from distributed.dashboard.core import BokehApplication  # noqa: PLC0415
        from distributed.dashboard.scheduler import template_variables  # noqa: PLC0415
        from tornado.ioloop import IOLoop  # noqa: PLC0415

        variables = template_variables(scheduler)
        if PAGE not in variables["pages"]:
            variables["pages"].append(PAGE)
        if not has_page(scheduler):
            prefix = (getattr(scheduler, "http_prefix", "") or "").strip("/")
            application = BokehApplication(
                {f"/{PAGE}": _document}, scheduler, prefix=prefix, template_variables=variables
            )
            scheduler.http_application.add_application(application)
            application.initialize(IOLoop.current())
            application.start()
    except Exception:
        logger.exception("The page of novelty_dask could not be added to the dashboard.")
