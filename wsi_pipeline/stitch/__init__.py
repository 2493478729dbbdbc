"""(5) Stitching: tile probabilities become cells, cells become masks, masks a verified store."""
