"""``/v1/uploads``: resumable uploads, and the checks of what was uploaded."""
