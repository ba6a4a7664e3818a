"""A real RTSP server for tests and benchmarks: GStreamer's, playing pre-encoded files over and over, or once.

Run by Debian's own Python (python3-gi and gir1.2-gst-rtsp-server-1.0, see ``control.PACKAGES``)::

    /usr/bin/python3 server.py --port 0 --mount cam=a.mp4 --once clip=b.mp4 --mount change=small.mp4,large.mp4

Nothing is re-encoded: the access units of each file are read into memory once and pushed with time stamps that go on
from one round to the next, so a client sees one endless stream. Clients of one mount share its media. When ready, one
JSON line is printed: ``{"port": 8554}``.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from itertools import count

PACKAGES_MISSING = 3
"""Exit code for what an installation would mend; any other but 0 is a defect."""


def refuse(reason: str) -> None:
    print(reason, file=sys.stderr)
    raise SystemExit(PACKAGES_MISSING)


try:
    import gi

    for namespace in ("Gst", "GstApp", "GstRtsp", "GstRtspServer"):
        gi.require_version(namespace, "1.0")
    from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer
except (ImportError, ValueError) as exc:
    refuse(str(exc))

READ_TIMEOUT_NS = 10 * Gst.SECOND
ROLE = "viewer"


@dataclass(frozen=True)
class Unit:
    """One access unit, times from the start of its file."""

    data: Gst.Buffer
    pts_ns: int
    dts_ns: int
    duration_ns: int


@dataclass(frozen=True)
class Footage:
    """The access units of one or more files, one after the other."""

    codec: str  # h264 or h265
    units: tuple[Unit, ...]
    length_ns: int


def read_footage(paths: list[str]) -> Footage:
    codec, units, start_ns = "", [], 0
    for path in paths:
        with open(path, "rb") as file:  # the sample description's four letters tell
            head = file.read()
        codec = "h265" if b"hvc1" in head or b"hev1" in head else "h264"
        found = read_units(path, codec, start_ns)
        if not found:
            raise SystemExit(f"{path}: holds neither H.264 nor HEVC in an MP4 container")
        units += found
        start_ns = max(unit.pts_ns + unit.duration_ns for unit in found)
    return Footage(codec, tuple(units), start_ns)


def read_units(path: str, codec: str, start_ns: int) -> list[Unit]:
    caps = f"video/x-{codec},stream-format=byte-stream,alignment=au"
    pipeline = Gst.parse_launch(
        f"filesrc name=file ! qtdemux ! {codec}parse config-interval=-1 ! {caps} ! appsink name=out sync=false"
    )
    pipeline.get_by_name("file").set_property("location", path)
    out = pipeline.get_by_name("out")
    pipeline.set_state(Gst.State.PLAYING)
    units, first_ns = [], None
    while (sample := out.try_pull_sample(READ_TIMEOUT_NS)) is not None:
        buffer = sample.get_buffer()
        dts_ns = buffer.dts if buffer.dts != Gst.CLOCK_TIME_NONE else buffer.pts
        first_ns = dts_ns if first_ns is None else first_ns
        offset_ns = start_ns - first_ns
        units.append(Unit(buffer.copy_deep(), buffer.pts + offset_ns, dts_ns + offset_ns, buffer.duration))
    pipeline.set_state(Gst.State.NULL)
    return units


class Playback:
    """Feeds one appsrc, as fast as it asks."""

    def __init__(self, footage: Footage, *, loop: bool) -> None:
        self._footage = footage
        self._rounds = iter(count()) if loop else iter([0])
        self._units = self._endless()

    def _endless(self):
        for turn in self._rounds:
            for unit in self._footage.units:
                yield unit, turn * self._footage.length_ns

    def on_need_data(self, source: GstApp.AppSrc, _length: int) -> None:
        unit, offset_ns = next(self._units, (None, 0))
        if unit is None:
            source.emit("end-of-stream")
            return
        buffer = unit.data.copy()  # the memory is shared, only the times are new
        buffer.pts, buffer.dts = unit.pts_ns + offset_ns, unit.dts_ns + offset_ns
        buffer.duration = unit.duration_ns
        source.emit("push-buffer", buffer)


class FootageFactory(GstRtspServer.RTSPMediaFactory):
    """Makes the media of one mount."""

    def __init__(self, footage: Footage, *, loop: bool) -> None:
        super().__init__()
        self._footage = footage
        self._loop = loop
        self.set_shared(True)

    def do_create_element(self, _url):
        codec = self._footage.codec
        element = Gst.parse_launch(
            f"( appsrc name=source format=time max-bytes=200000 "
            f"caps=video/x-{codec},stream-format=byte-stream,alignment=au ! {codec}parse "
            f"! rtp{codec}pay name=pay0 pt=96 config-interval=0 )"
        )
        source = element.get_by_name("source")
        element.playback = Playback(self._footage, loop=self._loop)
        source.connect("need-data", element.playback.on_need_data)
        return element


def protect(server: GstRtspServer.RTSPServer, user: str, password: str, *, digest: bool) -> None:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    auth = GstRtspServer.RTSPAuth()
    if digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)


def permit(factory: GstRtspServer.RTSPMediaFactory) -> None:
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role(ROLE, permission, True)
    factory.set_permissions(permissions)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default="0")
    parser.add_argument("--mount", action="append", default=[], metavar="NAME=FILE[,FILE]", help="plays for ever")
    parser.add_argument("--once", action="append", default=[], metavar="NAME=FILE[,FILE]", help="plays once and ends")
    parser.add_argument("--user", metavar="USER:PASSWORD", help="ask for these")
    parser.add_argument("--digest", action="store_true", help="digest instead of basic authentication")
    parser.add_argument("--check", action="store_true", help="only say whether everything needed is installed")
    return parser.parse_args(arguments)


def check() -> None:
    parts = "appsrc appsink filesrc qtdemux h264parse h265parse rtph264pay rtph265pay rtpbin udpsink"
    missing = [name for name in parts.split() if Gst.ElementFactory.find(name) is None]
    if missing:
        refuse(f"GStreamer elements missing: {', '.join(missing)}")


def main() -> None:
    options = parse_arguments(sys.argv[1:])
    Gst.init(None)
    check()
    if options.check:
        return
    server = GstRtspServer.RTSPServer()
    server.set_address(options.host)
    server.set_service(options.port)
    if options.user:
        user, _, password = options.user.partition(":")
        protect(server, user, password, digest=options.digest)
    footage: dict[str, Footage] = {}
    for loop, mounts in ((True, options.mount), (False, options.once)):
        for mount in mounts:
            name, _, files = mount.partition("=")
            if files not in footage:
                footage[files] = read_footage(files.split(","))
            factory = FootageFactory(footage[files], loop=loop)
            if options.user:
                permit(factory)
            server.get_mount_points().add_factory(f"/{name}", factory)
    if server.attach(None) == 0:
        raise SystemExit(f"cannot listen on {options.host}:{options.port}")
    print(json.dumps({"port": server.get_bound_port()}), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
