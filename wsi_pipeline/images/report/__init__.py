"""The page of a run over images: figures, pictures and the map of the data in one file."""
