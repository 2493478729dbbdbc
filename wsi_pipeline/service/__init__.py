"""The service's memory, shared by ``api`` and ``workers``: what was uploaded, asked and found.

Everything here is small facts in a database; slides and results lie in :mod:`wsi_pipeline.storage`.
Nothing here imports torch, OpenVINO or Dask.
"""
