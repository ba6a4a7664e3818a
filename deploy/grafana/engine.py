"""One engine inside: where time goes, what waits, whether frames and events are accounted for, what it all takes."""

from __future__ import annotations

from parts import board, choice, lines, number
from promql import ENGINES, all_of_it, latency, out_of_balance, quantile, rate


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
        "Journal: events kept",
        "What subscribers can still be given again.",
        {"kept": f"{value('vad_event_last_sequence')} - {value('vad_event_first_sequence')} + 1"},
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
        width=24,
    ),
)

EVIDENCE = (
    lines(
        "Evidence in an hour: kept and not kept",
        "disk: full or failing; overload: too much waited; too_big: one alone exceeds keep_mib; defect: see the log.",
        {
            "kept": f"increase(vad_evidence_written_total{{{ENGINES}}}[1h])",
            "not kept: {{reason}}": f"increase(vad_evidence_dropped_total{{{ENGINES}}}[1h])",
        },
    ),
    lines(
        "Evidence: size",
        "On disk, and at most: beyond it the oldest is deleted.",
        {"used": value("vad_evidence_used_bytes"), "limit": value("vad_evidence_limit_bytes")},
        unit="bytes",
    ),
    lines(
        "Evidence: age of the oldest",
        "Well below keep_days the bound on its size is what deletes it: a larger keep_mib keeps it longer.",
        {"oldest": f"time() - {value('vad_evidence_oldest_timestamp_seconds')}"},
        unit="s",
    ),
)

OVERLOAD = (
    lines(
        "Overloaded",
        "1 while the machine cannot keep up, and cameras are analysed at a lower rate.",
        {"overloaded": value("vad_overload")},
    ),
    lines(
        "Lowest analysis rate",
        "Share of its own rate at which the camera that gives up most is analysed.",
        {
            "lowest": f"min by (instance) ({value('vad_analysis_rate_ratio')})"
            f" or on (instance) {all_of_it('vad_overload', ENGINES)}"
        },
        unit="percentunit",
    ),
    lines(
        "Cameras at a lower rate",
        "How many give up some of their analysis.",
        {"cameras": f"count({value('vad_analysis_rate_ratio')}) or vector(0)"},
    ),
)

HTTP = (
    lines(
        "HTTP: answers a second, by status",
        "Of API and console. 401, 403 and 429 are refusals; 500 is a defect.",
        {"{{code}}": rate("vad_http_responses_total", ENGINES, by="code")},
        width=12,
    ),
    lines(
        "HTTP: refusals and faults in an hour",
        "401: no good token; 403: the role does not suffice; 429: too often; 5xx: not now, or a defect.",
        {"{{code}}": f'sum by (code) (increase(vad_http_responses_total{{{ENGINES},code=~"401|403|429|5.."}}[1h]))'},
        width=12,
    ),
)

MACHINE = (
    lines(
        "Memory",
        "Of the engine's process; the cameras' latest packets, kept for evidence, are part of it. Processes that read "
        "cameras take the rest; what they share counts in each.",
        {
            "resident": value("process_resident_memory_bytes"),
            "latest video": value("vad_evidence_ring_bytes"),
            "reading processes": value("vad_reader_processes_bytes"),
        },
        unit="bytes",
    ),
    lines(
        "Cores used",
        "CPU seconds a second, of the engine's process and of those that read cameras.",
        {
            "{{instance}}": rate("process_cpu_seconds_total", ENGINES),
            "{{instance}}: reading processes": rate("vad_reader_processes_cpu_seconds_total", ENGINES),
        },
    ),
    lines(
        "Processes that read cameras",
        "None where the engine's own process reads them all. One that dies is replaced; its cameras connect again.",
        {
            "running": value("vad_reader_processes"),
            "cameras read alone": value("vad_reader_isolated_cameras"),
            "died in an hour": f"increase(vad_reader_processes_died_total{{{ENGINES}}}[1h])",
        },
    ),
    lines(
        "Open files",
        "Sockets too; at the limit nothing can be opened.",
        {"open": value("process_open_fds"), "limit": value("process_max_fds")},
    ),
    lines(
        "Disk of the storage folder",
        "For journal, evidence and calibrations.",
        {"free": value("vad_storage_free_bytes"), "size": value("vad_storage_size_bytes")},
        unit="bytes",
    ),
    lines(
        "Streams, by what decodes them",
        "Those that are up.",
        {
            "GPU": f"count({value('vad_stream_decoded_by_gpu')}) or vector(0)",
            "CPU": f"count({value('vad_stream_up')} == 1 unless on (instance, camera) vad_stream_decoded_by_gpu)",
        },
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
    rows=(
        ("Stages", STAGES),
        ("Overload", OVERLOAD),
        ("Ledger", LEDGER),
        ("Events", EVENTS),
        ("Evidence", EVIDENCE),
        ("API and console", HTTP),
        ("Machine", MACHINE),
    ),
)
