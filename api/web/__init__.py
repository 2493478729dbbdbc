"""The pages of worklist and viewer, and plain pages without them."""
