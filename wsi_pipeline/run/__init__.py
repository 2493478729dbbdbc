"""Running analyses: regions on threads or on Dask, checkpoints, and directories of slides."""
