"""(2) Tissue: which px are tissue, and which tiles hold enough of it."""
