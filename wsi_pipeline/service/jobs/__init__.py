"""Jobs: requests, the queue, events and results; no torch, no pipeline."""
