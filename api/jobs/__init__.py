"""``/v1/jobs``: analyses, their events, results, notes and files."""
