"""Cameras read and decoded in processes of their own, so that they do not queue for one interpreter's lock.

Data flow: the engine's ``CameraStream`` opens a ``RemoteReader``, which has the face of ``vad.video.reader.Reader``.
``ReaderProcesses`` gives it a socket to one of its processes (``worker``), where a thread iterates the real ``Reader``
and sends what it gives (``messages``): each frame to be analysed at once, with the count of those before it that are
not, and the packets for the camera's tape. Everything that a stream decides stays in the engine: states, back-off,
ledger, windows, tapes. A process that dies takes its cameras' runs with it and nothing else; they connect again.
"""
