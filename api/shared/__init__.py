"""``/v1/shared``: masks by a link that needs no key."""
