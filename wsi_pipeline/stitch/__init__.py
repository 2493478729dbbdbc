"""(5) Stitching: tile probabilities become cells, masks, and a store with checksums."""
