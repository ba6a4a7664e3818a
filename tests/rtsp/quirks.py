"""What the stub camera of ``stub.py`` does otherwise than RFC 2326 and RFC 3550 say, each seen in real cameras."""

from __future__ import annotations

from enum import StrEnum


class Quirk(StrEnum):
    """Any number of them can be had at a time, and changed while the camera plays."""

    # the session description (SDP)
    NO_FMTP = "no_fmtp"  # no a=fmtp line
    EMPTY_FMTP = "empty_fmtp"  # an a=fmtp line without parameters
    NO_SPROP = "no_sprop"  # no parameter sets in a=fmtp
    SPROP_NO_PPS = "sprop_no_pps"  # the picture parameter set there is empty
    SPROP_ANNEXB = "sprop_annexb"  # parameter sets there begin with start codes
    NO_VPS_IN_SDP = "no_vps_in_sdp"  # no video parameter set there (HEVC)
    SDP_LIES = "sdp_lies"  # HEVC is announced and H.264 sent, or the reverse
    TWO_S = "two_s"  # two s= lines
    BAD_C = "bad_c"  # a c= line without an address
    NO_SESSION_CONTROL = "no_session_control"  # no a=control line for the session
    NO_LAST_NEWLINE = "no_last_newline"  # the last line does not end
    ABS_CONTROL = "abs_control"  # a=control of the track is a whole URL
    ABS_CONTROL_OTHER_HOST = "abs_control_other_host"  # the same with an address that leads nowhere
    AUDIO_FIRST = "audio_first"  # sound and ONVIF metadata are announced before video
    MANY_TRACKS = "many_tracks"  # three tracks of sound after video
    ODD_MEDIA = "odd_media"  # a media line that no standard knows
    SECOND_VIDEO = "second_video"  # a JPEG track after the H.264 one
    MUTE_FIRST_TRACK = "mute_first_track"  # a second track of the same codec, and only that one ever sends
    DATA_ON_LAST_TRACK = "data_on_last_track"  # all packets come on the channel of the track set up last

    # answers to requests
    NO_CONTENT_TYPE = "no_content_type"  # the answer to DESCRIBE does not say that it is SDP
    BASE_MISSING = "base_missing"  # no Content-Base
    BASE_DOUBLE = "base_double"  # Content-Base: rtsp://rtsp://...
    BASE_SCHEMELESS = "base_schemeless"  # Content-Base without rtsp://
    BASE_OTHER_HOST = "base_other_host"  # Content-Base with an address that leads nowhere
    BASE_V4MAPPED = "base_v4mapped"  # Content-Base with ::ffff: and no brackets
    TRACKS_STRICT = "tracks_strict"  # SETUP of any URL that does not end in /cam/trackID=1 is answered 404
    REDIRECT = "redirect"  # DESCRIBE is answered 302
    NO_INTERLEAVED_ANSWER = "no_interleaved_answer"  # Transport does not name the channels
    OTHER_CHANNEL = "other_channel"  # Transport names other channels than were asked for
    SSRC_SPACE = "ssrc_space"  # a space before the SSRC in Transport
    NEW_SESSION_ID = "new_session_id"  # each SETUP is answered with another session
    BAD_RTPTIME = "bad_rtptime"  # RTP-Info names a time that no packet has
    RTPINFO_SEMICOLON = "rtpinfo_semicolon"  # RTP-Info ends in a semicolon
    NO_GET_PARAMETER = "no_get_parameter"  # GET_PARAMETER and SET_PARAMETER are answered 501
    KEEPALIVE_OPTIONS_DO_NOT_COUNT = "keepalive_options_do_not_count"  # OPTIONS does not keep a session alive

    # authentication, where the camera has a user
    BASIC = "basic"  # basic instead of digest
    BASIC_AND_DIGEST = "basic_and_digest"  # both are offered, only digest is taken
    SHA256 = "sha256"  # digest with SHA-256 only
    ODD_REALM = "odd_realm"  # the realm has a comma and an equals sign
    UA_NEEDED = "ua_needed"  # DESCRIBE without User-Agent is answered 401
    REAUTH_KEEPALIVE = "reauth_keepalive"  # the nonce expires while the camera plays

    # RTP
    FOREIGN_PAYLOAD = "foreign_payload"  # packets of another payload type than the description announces
    NO_INBAND = "no_inband"  # no parameter sets among the pictures
    NO_VPS_INBAND = "no_vps_inband"  # no video parameter set among the pictures (HEVC)
    ANNEXB_IN_RTP = "annexb_in_rtp"  # all units of a picture as one, with start codes between
    FU_TYPE_LOST = "fu_type_lost"  # only a unit's first fragment says what type it is of
    BIG_PACKETS = "big_packets"  # packets of up to 60 kB
    EMPTY_FRAGMENT = "empty_fragment"  # a packet without payload in each picture
    NO_MARKER = "no_marker"  # no marker bit ends a picture
    MARKER_ON_SEI = "marker_on_sei"  # the marker bit is set on parameter sets and SEI, too
    SSRC_CHANGE = "ssrc_change"  # another source and sequence from the 76th picture on
    GARBAGE = "garbage"  # 37 bytes of noise between packets, after each 25 pictures
    STALL_BURST = "stall_burst"  # pictures come all at once, four seconds of them at a time
    NIGHT_SLOW = "night_slow"  # after ``well_s`` a picture each ``slow_s``
    PACKETS_EMPTY = "packets_empty"  # after ``well_s`` packets without payload only
    VIDEO_DIES = "video_dies"  # after ``well_s`` sender reports only

    # RTP time stamps
    TS_ZERO = "ts_zero"  # all 0
    TS_SAME = "ts_same"  # the same for all pictures of a tenth of a second
    TS_FAST = "ts_fast"  # a clock that runs half as fast again
    TS_WRAP = "ts_wrap"  # 32 bits overflow after a second
    TS_BACK = "ts_back"  # four seconds back after each 100 pictures
    TS_RESET = "ts_reset"  # begin anew after 100 pictures
    TS_OUTLIER = "ts_outlier"  # one picture in 50 is hours in the past

    # RTCP
    NO_RTCP = "no_rtcp"  # no sender reports
    RTCP_OTHER_SSRC = "rtcp_other_ssrc"  # sender reports of another source
    RTCP_BYE = "rtcp_bye"  # after ``well_s`` BYE, then silence on an open connection
    NTP_ZERO = "ntp_zero"  # sender reports without wall time
    NTP_1990S = "ntp_1990s"  # a wall clock 20 years slow
    NTP_JUMPS = "ntp_jumps"  # a wall clock that is 30 s fast in every other report
