"""One camera: how it scores against its threshold, what it raised, and how its stream fares."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from parts import SOURCE, board, choice, lines, number, states, word
from promql import CAMERAS, ENGINES, WINDOW, all_of_it, out_of_balance, rate

NOW = (
    word("State", "What the stream does.", {"{{state}}": f"vad_stream_state{{{CAMERAS}}} == 1"}),
    word(
        "Stage",
        "cold: learns only; warming: judged, with little known of it; calibrated: judged by what it has shown.",
        {"{{stage}}": f"vad_calibration_stage{{{CAMERAS}}}"},
    ),
    word(
        "Picture",
        "What ails it: frozen, covered, defocused, moved, light_jump. Nothing is raised meanwhile.",
        {"{{issue}}": f"vad_camera_issue{{{CAMERAS}}}"},
    ),
    number("Frames a second", "Measured from the media clock.", {"fps": f"vad_stream_fps{{{CAMERAS}}}"}),
    number(
        "Incidents in 24 h",
        "All that were raised, true ones too.",
        {"raised": f"increase(vad_incidents_opened_total{{{CAMERAS}}}[1d])"},
    ),
    number(
        "Budget used",
        "Incidents over those allowed, since the engine started.",
        {"used": f"vad_false_alarm_budget_ratio{{{CAMERAS}}}"},
        unit="percentunit",
        limits=(1, 3),
    ),
)

SCORE = (
    lines(
        "Score and threshold",
        "-log10 of the p-value: 3 is one excursion in a thousand. The threshold is what the budget allows.",
        {"score": f"vad_anomaly_score{{{CAMERAS}}}", "threshold": f"vad_score_threshold{{{CAMERAS}}}"},
        width=24,
    ),
    states("Incident", "1 while one is open.", {"open": f"vad_incidents_open{{{CAMERAS}}}"}),
    states("Stage", "How much the calibration knows.", {"{{stage}}": f"vad_calibration_stage{{{CAMERAS}}}"}),
    lines(
        "Alarms allowed a day",
        "More than the budget while little was learnt; near it once the camera keeps what it promises.",
        {
            "allowed now": f"vad_allowed_alarms_per_day{{{CAMERAS}}}",
            "budget": f"vad_false_alarm_budget_per_day{{{CAMERAS}}}",
        },
    ),
    lines(
        "Judged, hours in a day",
        "Video in which an incident could have been raised: nothing is while it learns, ails, or is away.",
        {"judged": f"increase(vad_judged_seconds_total{{{CAMERAS}}}[1d]) / 3600"},
    ),
    lines(
        "Verdicts",
        "What was said of its incidents since the engine started; expected: unusual, but known.",
        {"{{verdict}}": f"sum by (verdict) (vad_verdicts_total{{{CAMERAS}}})"},
    ),
)

STREAM = (
    lines(
        "Frames a second",
        "fps is the camera's own, measured; scored is limited by its analysis rate.",
        {
            "fps": f"vad_stream_fps{{{CAMERAS}}}",
            "received": rate("vad_frames_received_total", CAMERAS),
            "scored": rate("vad_frames_scored_total", CAMERAS),
        },
    ),
    lines(
        "Drops a second, by reason",
        "analysis_rate is by design; every other reason is a loss.",
        {"{{reason}}": rate("vad_frames_dropped_total", CAMERAS, by="reason")},
        stacked=True,
    ),
    lines(
        "In flight and unaccounted for",
        "Frames on their way through the stages; those that the ledger has lost (a defect).",
        {"in flight": f"vad_frames_in_flight{{{CAMERAS}}}", "unaccounted": out_of_balance(CAMERAS)},
    ),
    lines(
        "Frames never decoded",
        "Frames a second above the analysis rate that no other refers to: it costs nothing to leave them out.",
        {"spared": f"sum(rate(vad_frames_spared_total{{{CAMERAS}}}{WINDOW})) or vector(0)"},
        width=8,
    ),
    lines(
        "Frames without the loop filter",
        "Frames a second that are decoded more coarsely, for less, while the machine is overloaded.",
        {"unfiltered": f"sum(rate(vad_frames_unfiltered_total{{{CAMERAS}}}{WINDOW})) or vector(0)"},
        width=8,
    ),
    lines(
        "Analysis rate",
        "Share of its own rate at which it is analysed: below 100 % while the machine is overloaded.",
        {"rate": f"vad_analysis_rate_ratio{{{CAMERAS}}} or {all_of_it('vad_stream_up', CAMERAS)}"},
        unit="percentunit",
        width=8,
    ),
    states("State", "What the stream did.", {"{{state}}": f"vad_stream_state{{{CAMERAS}}} == 1"}, width=24),
    lines(
        "Reconnects in an hour, by reason",
        "New runs, by what ended the one before.",
        {"{{reason}}": f"sum by (reason) (increase(vad_stream_reconnects_total{{{CAMERAS}}}[1h]))"},
    ),
    lines(
        "Errors in an hour, by code",
        "What ended runs.",
        {"{{code}}": f"sum by (code) (increase(vad_stream_errors_total{{{CAMERAS}}}[1h]))"},
    ),
    lines(
        "Trouble with the data",
        "Damaged packets that were skipped; time stamps that were replaced; readers that hung.",
        {
            "corrupt packets": f"increase(vad_stream_corrupt_packets_total{{{CAMERAS}}}[1h])",
            "outlier time stamps": f"increase(vad_stream_outlier_stamps_total{{{CAMERAS}}}[1h])",
            "abandoned readers": f"increase(vad_stream_abandoned_readers_total{{{CAMERAS}}}[1h])",
        },
    ),
)

CAMERA = board(
    "vad-camera",
    "vad: camera",
    __doc__,
    variables=[
        choice("instance", "Engine", "label_values(vad_engine_info, instance)", many=True),
        choice("camera", "Camera", f"label_values(vad_stream_up{{{ENGINES}}}, camera)", many=False),
    ],
    rows=(("Now", NOW), ("Score", SCORE), ("Stream", STREAM)),
).annotation(
    dashboard.AnnotationQuery()
    .name("Incidents")
    .datasource(SOURCE)
    .enable(True)
    .icon_color("red")
    .expr(f"vad_incidents_open{{{CAMERAS}}} > 0 or increase(vad_incidents_opened_total{{{CAMERAS}}}[1m]) > 0")
)
