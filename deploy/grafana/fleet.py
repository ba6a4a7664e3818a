"""All cameras: are they up, is the budget kept, what is lost, how late is it, where is something going on?"""

from __future__ import annotations

from parts import board, choice, lines, number, ranking
from promql import ENGINES, latency, out_of_balance, rate

NOW = (
    number("Cameras up", "Frames arrive.", {"up": f"sum(vad_stream_up{{{ENGINES}}})"}),
    number(
        "Cameras not up",
        "No frames arrive, whatever the reason.",
        {"not up": f"count(vad_stream_up{{{ENGINES}}} == 0) or vector(0)"},
        limits=(1,),
    ),
    number("Incidents open", "Not over yet.", {"open": f"sum(vad_incidents_open{{{ENGINES}}})"}),
    number(
        "Frames lost in an hour",
        "Dropped although they were to be analysed.",
        {"lost": f'sum(increase(vad_frames_dropped_total{{{ENGINES},reason!="analysis_rate"}}[1h]))'},
        limits=(1, 1000),
    ),
    number(
        "Latency, 95 %",
        "From a frame's arrival to its score.",
        {"p95": latency(0.95, ENGINES)},
        unit="s",
        limits=(1, 2),
    ),
    number(
        "Frames unaccounted for",
        "received - scored - dropped - in flight: anything but 0 is a defect.",
        {"frames": out_of_balance(ENGINES)},
        limits=(1,),
    ),
)

CAMERAS = (
    lines(
        "Cameras by state",
        "What their streams do.",
        {"{{state}}": f"sum by (state) (vad_stream_state{{{ENGINES}}})"},
        stacked=True,
    ),
    lines(
        "Cameras by stage",
        "cold: learns only; warming: a wider threshold; calibrated: the budget holds.",
        {"{{stage}}": f"sum by (stage) (vad_calibration_stage{{{ENGINES}}})"},
        stacked=True,
    ),
    lines(
        "Pictures that ail",
        "Cameras that are frozen, covered, defocused, moved or struck by a jump of light.",
        {"{{issue}}": f"sum by (issue) (vad_camera_issue{{{ENGINES}}})"},
        stacked=True,
    ),
    ranking(
        "Not up",
        "Which cameras, and what they do instead.",
        {"{{camera}}: {{state}}": f'vad_stream_state{{{ENGINES},state!="up"}} == 1'},
        width=12,
        links=True,
    ),
    ranking(
        "Top scores",
        "Score over threshold: anomalous from 100 % on.",
        {"{{camera}}": f"topk(10, vad_anomaly_score{{{ENGINES}}} / vad_score_threshold{{{ENGINES}}})"},
        unit="percentunit",
        width=12,
        limits=(0.7, 1),
        links=True,
    ),
)

BUDGET = (
    lines(
        "Incidents a day: promised and achieved",
        "False alarms that the budgets allow in a day; all incidents of the last 24 hours, true ones too.",
        {
            "promised": f"sum(vad_false_alarm_budget_per_day{{{ENGINES}}})",
            "achieved": f"sum(increase(vad_incidents_opened_total{{{ENGINES}}}[1d]))",
        },
    ),
    lines(
        "Incidents in an hour",
        "Of all cameras.",
        {"raised": f"sum(increase(vad_incidents_opened_total{{{ENGINES}}}[1h]))"},
    ),
    ranking(
        "Most over their budget",
        "Incidents over those allowed, since the engine started.",
        {"{{camera}}": f"topk(10, vad_false_alarm_budget_ratio{{{ENGINES}}})"},
        unit="percentunit",
        limits=(1, 3),
        links=True,
    ),
    lines(
        "Cameras that can raise incidents",
        "Seconds judged a second: cameras that learn, ail or are away raise none.",
        {"judged": rate("vad_judged_seconds_total", ENGINES), "all": f"count(vad_stream_up{{{ENGINES}}})"},
        width=12,
    ),
    lines(
        "Verdicts",
        "What was said of incidents since the engine started; expected: unusual, but known.",
        {"{{verdict}}": f"sum by (verdict) (vad_verdicts_total{{{ENGINES}}})"},
        width=12,
    ),
)

FRAMES = (
    lines(
        "Frames a second",
        "What is neither scored nor lost is above the cameras' analysis rate.",
        {"received": rate("vad_frames_received_total", ENGINES), "scored": rate("vad_frames_scored_total", ENGINES)},
    ),
    lines(
        "Drops a second, by reason",
        "analysis_rate is by design; every other reason is a loss.",
        {"{{reason}}": rate("vad_frames_dropped_total", ENGINES, by="reason")},
        stacked=True,
    ),
    lines(
        "Latency",
        "From a frame's arrival to its score.",
        {f"p{100 * share:.0f}": latency(share, ENGINES) for share in (0.5, 0.95, 0.99)},
        unit="s",
    ),
)

FLEET = board(
    "vad-fleet",
    "vad: fleet",
    __doc__,
    variables=[choice("instance", "Engine", "label_values(vad_engine_info, instance)", many=True)],
    rows=(("Now", NOW), ("Cameras", CAMERAS), ("False-alarm budget", BUDGET), ("Frames", FRAMES)),
)
