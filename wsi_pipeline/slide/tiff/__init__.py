"""TIFF in every layout that is read without OpenSlide: directories, levels, segments."""
