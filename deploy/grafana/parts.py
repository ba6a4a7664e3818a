"""Panels, variables and dashboards of one look, made with the Grafana Foundation SDK. What they show is in build.py.

Every panel takes a title, what it says to whoever hovers over it, and its queries: what to call a series (``{{label}}``
is filled in) -> PromQL. ``limits`` colour it: green below the first, orange from there on, red from the last on.
``links`` leads from a series to its camera.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
CAMERA_LINK = "/d/vad-camera?${datasource:queryparam}&var-camera=${__field.labels.camera}&${__url_time_range}"

Queries = Mapping[str, str]
Rows = Sequence[tuple[str, Sequence[Any]]]


def lines(title: str, says: str, queries: Queries, *, stacked: bool = False, width: int = 8, **rest: Any) -> Any:
    """A curve for each series."""
    built = (
        timeseries.Panel()
        .height(8)
        .span(width)
        .fill_opacity(30 if stacked else 8)
        .legend(common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if stacked:
        built = built.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    return _filled(built, title, says, queries, **rest)


def number(title: str, says: str, queries: Queries, *, width: int = 4, **rest: Any) -> Any:
    """The last value in large, with its course behind it."""
    built = stat.Panel().height(4).span(width).graph_mode(BigValueGraphMode.AREA)
    return _filled(built, title, says, queries, **rest)


def word(title: str, says: str, queries: Queries, *, width: int = 4, **rest: Any) -> Any:
    """The name of the series that is there: a state, not a number."""
    built = stat.Panel().height(4).span(width).graph_mode(BigValueGraphMode.NONE).text_mode(BigValueTextMode.NAME)
    return _filled(built, title, says, queries, instant=True, **rest)


def ranking(title: str, says: str, queries: Queries, *, width: int = 8, **rest: Any) -> Any:
    """A bar for each series, as it is now."""
    built = bargauge.Panel().height(8).span(width).orientation(VizOrientation.HORIZONTAL)
    return _filled(built, title, says, queries, instant=True, **rest)


def states(title: str, says: str, queries: Queries, *, width: int = 12, **rest: Any) -> Any:
    """When each series was there."""
    return _filled(statetimeline.Panel().height(6).span(width), title, says, queries, **rest)


def _filled(
    built: Any,
    title: str,
    says: str,
    queries: Queries,
    *,
    unit: str = "short",
    limits: Sequence[float] = (),
    links: bool = False,
    instant: bool = False,
) -> Any:
    built = built.title(title).description(says).unit(unit).datasource(SOURCE)
    for letter, (legend, expression) in zip("ABCDEF"[: len(queries)], queries.items(), strict=True):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter).datasource(SOURCE)
        built = built.with_target(query.instant() if instant else query.range())
    if limits:
        colours = ("orange", "red")[-len(limits) :]
        steps = [Threshold(value=None, color="green")]
        steps += [Threshold(value=at, color=colour) for at, colour in zip(limits, colours, strict=True)]
        built = built.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    if links:
        link = dashboard.DashboardLink("this camera").url(CAMERA_LINK).type(DashboardLinkType.LINK)
        built = built.data_links([link])
    return built


def choice(name: str, label: str, query: str, *, many: bool) -> Any:
    """A variable filled from the labels of a metric; with ``many`` it begins with all of them."""
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )
    return variable.multi(True).include_all(True).all_value(".+") if many else variable


def board(uid: str, title: str, says: str, *, variables: Sequence[Any], rows: Rows) -> dashboard.Dashboard:
    """A dashboard that knows the others."""
    built = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(says)
        .tags(["vad"])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(dashboard.DashboardLink("vad").type(DashboardLinkType.DASHBOARDS).tags(["vad"]).keep_time(True))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for variable in variables:
        built = built.with_variable(variable)
    numbers = count(1)
    for row, panels in rows:
        built = built.with_row(dashboard.Row(row).id(next(numbers)))
        for panel in panels:
            built = built.with_panel(panel.id(next(numbers)))
    return built
