"""One engine inside: where time goes, what waits, whether frames and events are accounted for, what it all takes."""

from __future__ import annotations

from parts import board, choice, lines, number
from promql import ENGINES, latency, out_of_balance, quantile, rate


def value(metric: str) -> str:
    return f"{metric}{{{ENGINES}}}"


STAGES = (
    lines(
        "Time of a call, 95 %, by stage",
        "model: one batch; score: one frame; journal: one commit.",
        {"{{stage}}": quantile(0.95, "vad_stage_duration_seconds", ENGINES, by="le, stage")},
        unit="s",
    ),
    lines(
        "Busy, by stage",
        "Share of its thread's time: a stage near 100 % is the bottleneck.",
        {"{{stage}}": rate("vad_stage_duration_seconds_sum", ENGINES, by="stage")},
        unit="percentunit",
    ),
    lines(
        "Calls a second, by stage",
        "How often each stage works.",
        {"{{stage}}": rate("vad_stage_duration_seconds_count", ENGINES, by="stage")},
    ),
    lines(
        "Clips in a batch",
        "Cameras that share one call of the network.",
        {
            "mean": f"{rate('vad_batch_size_sum', ENGINES)} / {rate('vad_batch_size_count', ENGINES)}",
            "95 %": quantile(0.95, "vad_batch_size", ENGINES),
        },
    ),
    lines("Waiting, by queue", "Between two stages.", {"{{queue}}": value("vad_queue_items")}),
    lines(
        "Latency",
        "From a frame's arrival to its score.",
        {f"p{100 * share:.0f}": latency(share, ENGINES) for share in (0.5, 0.95, 0.99)},
        unit="s",
    ),
)

LEDGER = (
    number(
        "Frames unaccounted for",
        "received - scored - dropped - in flight: anything but 0 is a defect.",
        {"frames": out_of_balance(ENGINES)},
        limits=(1,),
    ),
    number("In flight", "Frames between decoder and score.", {"frames": f"sum({value('vad_frames_in_flight')})"}),
    number(
        "Events given up",
        "Raised, and never stored since the engine started.",
        {"events": f"sum({value('vad_journal_lost_events_total')})"},
        limits=(1,),
    ),
    number(
        "Journal",
        "1 while it can be written.",
        {"writable": f"min({value('vad_journal_writable')})"},
    ),
    number("Last event", "Its sequence number.", {"sequence": f"max({value('vad_event_last_sequence')})"}),
    number(
        "Calibrations not saved",
        "Failed attempts since the engine started.",
        {"failures": f"sum({value('vad_calibration_save_failures_total')})"},
        limits=(1,),
    ),
)

EVENTS = (
    lines(
        "Events in an hour, by type",
        "Written to the journal.",
        {"{{type}}": f"sum by (type) (increase(vad_events_total{{{ENGINES}}}[1h])) > 0"},
    ),
    lines(
        "Journal: behind",
        "Raised and not yet stored; attempts to write that failed.",
        {
            "waiting": value("vad_journal_waiting_events"),
            "failures in an hour": f"increase(vad_journal_write_failures_total{{{ENGINES}}}[1h])",
        },
    ),
    lines(
        "Journal: size",
        "Beyond its limit the oldest events are forgotten.",
        {
            "used": value("vad_journal_used_bytes"),
            "limit": value("vad_journal_limit_bytes"),
        },
        unit="bytes",
    ),
    lines(
        "Bus: connections",
        "Open to bus and replay, opened and turned away in an hour.",
        {
            "open": value("vad_bus_connections"),
            "opened in an hour": f"increase(vad_bus_connections_accepted_total{{{ENGINES}}}[1h])",
            "refused: {{reason}}": f"increase(vad_bus_connections_refused_total{{{ENGINES}}}[1h])",
        },
    ),
    lines(
        "Replay",
        "What subscribers had missed and asked for.",
        {
            "events a second": rate("vad_replay_events_total", ENGINES),
            "requests a second: {{result}}": rate("vad_replay_requests_total", ENGINES, by="result"),
        },
    ),
    lines(
        "Replay: not yet read", "Given back, and still with the engine.", {"bytes": value("vad_replay_unread_bytes")}
    ),
    lines(
        "Bridges: behind",
        "Events stored and not yet delivered.",
        {"{{bridge}}": value("vad_bridge_lag_events")},
    ),
    lines(
        "Bridges: delivered and failed",
        "Attempts a second.",
        {
            "{{bridge}}: sent": rate("vad_bridge_sent_total", ENGINES, by="bridge"),
            "{{bridge}}: failed": rate("vad_bridge_failed_total", ENGINES, by="bridge"),
        },
    ),
    lines(
        "Bridges: up and given up",
        "1 while the last contact went well; events in the dead letters, events forgotten before delivery.",
        {
            "{{bridge}}: up": value("vad_bridge_up"),
            "{{bridge}}: dead letters": value("vad_bridge_dead_letters_total"),
            "{{bridge}}: lost": value("vad_bridge_lost_total"),
        },
    ),
)

MACHINE = (
    lines(
        "Memory",
        "Of the engine's process.",
        {"resident": value("process_resident_memory_bytes")},
        unit="bytes",
    ),
    lines("Cores used", "CPU seconds a second.", {"{{instance}}": rate("process_cpu_seconds_total", ENGINES)}),
    lines(
        "Open files",
        "Sockets too; at the limit nothing can be opened.",
        {"open": value("process_open_fds"), "limit": value("process_max_fds")},
    ),
    lines(
        "Disk of the storage folder",
        "For journal and calibrations.",
        {"free": value("vad_storage_free_bytes"), "size": value("vad_storage_size_bytes")},
        unit="bytes",
    ),
    lines(
        "GPU memory",
        "Absent without a GPU. reserved: held by this engine.",
        {
            "{{device}}: used": value("vad_gpu_memory_used_bytes"),
            "{{device}}: reserved": value("vad_gpu_memory_reserved_bytes"),
            "{{device}}: size": value("vad_gpu_memory_size_bytes"),
        },
        unit="bytes",
    ),
    lines(
        "GPU utilisation",
        "Absent without a GPU, or without nvidia-ml-py.",
        {"{{device}}": value("vad_gpu_utilization_ratio")},
        unit="percentunit",
    ),
)

ENGINE = board(
    "vad-engine",
    "vad: engine",
    __doc__,
    variables=[choice("instance", "Engine", "label_values(vad_engine_info, instance)", many=True)],
    rows=(("Stages", STAGES), ("Ledger", LEDGER), ("Events", EVENTS), ("Machine", MACHINE)),
)
