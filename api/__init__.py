"""The service over HTTP: ``create_app(settings)`` and routes named after their URLs.

Imports no torch, no OpenVINO and no Dask: what computes lives in ``workers``.
"""
