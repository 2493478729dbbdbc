"""Running analyses: regions on Dask, checkpoints, and directories of slides."""
