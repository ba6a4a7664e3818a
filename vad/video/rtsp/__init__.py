"""RTSP over TCP, spoken by the reader itself: the conversation with a camera, and what its RTP packets hold.

``feed`` opens a camera's H.264 or HEVC and gives its pictures; FFmpeg decodes them. From the bottom up: ``messages``,
``digest`` and ``address`` are of the conversation, which ``conversation`` leads over ``wire``; ``description`` reads
what the camera says of its tracks; ``reception`` (with ``rtcp``), ``unpacking`` and ``access_units`` make pictures of
packets; ``units`` and ``vps`` know what is in them.
"""
