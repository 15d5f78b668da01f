"""How long sessions, links and tokens last, all in one place. Seconds."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

# How long things last, all in one place.
SESSION_IDLE = 12 * HOUR  # without a request
SESSION_LONGEST = 7 * DAY  # whatever happens
SEEN_EVERY = MINUTE  # a session or token writes down that it was used at most so often
LINK_LASTS = 15 * MINUTE  # a setup or sign-in link
INVITE_LASTS = 7 * DAY
INVITE_LONGEST = 30 * DAY
TOKEN_LASTS = 90 * DAY  # where nobody said until when
TOKEN_LONGEST = 366 * DAY
CLIENT_KNOWN = 30 * DAY  # an address that somebody signed in from
