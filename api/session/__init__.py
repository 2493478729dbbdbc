"""``/v1/session``: browsers that are signed in."""
