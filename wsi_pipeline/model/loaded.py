"""The model a process has loaded, kept for whoever needs it next."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.predictor import Predictor, RuntimeInfo
from wsi_pipeline.model.runtime import RuntimeRequest


class LoadedModels:
    """Keeps the model in use; asked for another, it lets go of the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._predictors: dict[tuple[str, RuntimeRequest, float], Predictor] = {}

    def predictor(
        self, package: Path | ModelPackage, sha256: str, runtime: RuntimeRequest, threshold: float
    ) -> Predictor:
        """The loaded, admitted model.

        Args:
            package: Its folder, or the package, which was verified when it was loaded.
            sha256: What must be found there.
            runtime: What to compute with.
            threshold: The decision a cascade preserves.

        Raises:
            PackageError: the package is not usable here.
        """
        with self._lock:
            key = (sha256, runtime, threshold)
            if key not in self._predictors:
                for old in list(self._predictors):
                    self._predictors.pop(old).close()
                if not isinstance(package, ModelPackage):
                    package = load_package(package, expect=sha256)
                self._predictors[key] = load_predictor(package, runtime, threshold=threshold)
            return self._predictors[key]


#: Of this process. A Dask task has no other place to keep a model from one call to the next.
LOADED = LoadedModels()


def describe_runtime(
    package: Path, package_sha256: str, runtime: RuntimeRequest, threshold: float
) -> RuntimeInfo:
    """Load the model in this process, hold it to its reference and say what computes.

    Raises:
        PackageError: the package is not usable here.
    """
    return LOADED.predictor(package, package_sha256, runtime, threshold).info


@contextmanager
def model_loading(
    package: ModelPackage,
    runtime: RuntimeRequest,
    threshold: float,
    around: AbstractContextManager[object] | None = None,
    beside: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Load the model on a thread meanwhile: slow imports and the first slide need none of it.

    What fails there fails again, and is told, where the model is needed. The thread is waited
    for: native code must not run while the interpreter ends.

    Args:
        package: The model; its files are not hashed again.
        runtime: What to compute with.
        threshold: The decision a cascade preserves.
        around: Entered on the thread while it loads.
        beside: Called there after it: loads what else the first slide needs.
    """

    def load() -> None:
        with suppress(Exception), around or nullcontext():
            LOADED.predictor(package, package.sha256, runtime, threshold)
            beside()

    thread = threading.Thread(target=load, name="load")
    thread.start()
    try:
        yield
    finally:
        thread.join()
