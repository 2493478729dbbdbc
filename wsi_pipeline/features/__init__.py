"""Tiles' features for other programs: HDF5 for CLAM and TRIDENT, AnnData for scverse."""
