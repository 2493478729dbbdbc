"""(3) Tiles: the plan (grid × tissue) and the px of its patches."""
