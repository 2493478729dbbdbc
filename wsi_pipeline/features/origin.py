"""What a file of features says of the result that it was made of."""

import hashlib
import json
from pathlib import Path

import h5py

from wsi_pipeline.stitch.record import to_plain
from wsi_pipeline.stitch.result import Result

#: Where it stands: an attribute of HDF5, an entry of ``uns`` in AnnData.
ORIGIN = "wsi_pipeline"
#: Bump when files are laid out otherwise: those that are there are then written anew.
_REVISION = 1


def facts(result: Result) -> str:
    """What the features are of and what made them, as JSON."""
    record = result.record
    about = {
        "revision": _REVISION,
        "arrays": _arrays(result),
        "slide": to_plain(record.slide),
        "model": to_plain(record.model),
        "grid": to_plain(record.grid),
        "runtime": to_plain(record.runtime),
        "features": to_plain(record.features),
        "fingerprint": record.fingerprint,
    }
    return json.dumps(about, ensure_ascii=False)


def is_of(path: Path, result: Result) -> bool:
    """Whether a file was written of this very result, as this version writes it.

    Files appear when they are complete, so the hashes of the result are enough: no feature is read.
    A file that was cut off later does not open.

    Args:
        path: HDF5 or AnnData; need not be there.
        result: One whose attributes are unaltered.
    """
    try:
        with h5py.File(path) as file:
            text = file.attrs[ORIGIN] if ORIGIN in file.attrs else file[f"uns/{ORIGIN}"][()]
        told = json.loads(text)
        return (told["revision"], told["arrays"]) == (_REVISION, _arrays(result))
    # HDF5 tells of damage with many kinds of error.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return False


def _arrays(result: Result) -> str:
    """Identifies what the result holds: equal for a run that was killed and one that was not."""
    record = result.record
    facts = (record.slide.sha256, record.model.sha256, record.fingerprint)
    text = json.dumps([facts, result.seal.arrays], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
