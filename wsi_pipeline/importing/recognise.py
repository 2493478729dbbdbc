"""Which form a model is in, by what its files hold."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from wsi_pipeline.importing.source import ImportRefusedError, ImportRequest, Source, check_trust
from wsi_pipeline.importing.torchscript import PROGRAM, answer_torchscript
from wsi_pipeline.importing.wsinfer_source import read_wsinfer
from wsi_pipeline.model.description import CARD, DOCUMENTS

#: The block of facts before a card, and the licence in it (Hugging Face's form).
_FRONT = re.compile(r"\A---\n(.*?)^---", re.MULTILINE | re.DOTALL)
_STATED_LICENCE = re.compile(r"^license:[ \t]*([^\s#]+)", re.MULTILINE)
_FORMS = (
    "a WSInfer or Hugging Face folder, TorchScript, ONNX, OpenVINO .xml, or weights of a network "
    "of timm or torchvision"
)
_NETWORKS = (".onnx", ".xml", ".pt", ".pth", ".safetensors", ".bin")


def read_source(path: Path, request: ImportRequest) -> Source:
    """A model in any of the forms known here.

    Raises:
        ImportRefusedError: it is in none, or is damaged.
    """
    # ruff: noqa: PLC0415 - each form's library takes seconds to import
    if path.is_dir():
        return _folder(path, request)
    return _file(path, request, {})


def _file(path: Path, request: ImportRequest, stated: dict[str, Any]) -> Source:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ImportRefusedError(path, f"cannot be read: {error.strerror}") from error
    if head.startswith(b"PK") and _is_torchscript(path):
        check_trust(path, PROGRAM, trust=request.trust)
        return Source(
            "TorchScript",
            "torch.jit",
            lambda x, folder: answer_torchscript(path, x, folder),
            **stated,
        )
    # Zip and pickle are what torch writes; safetensors begin with the length of their JSON.
    if head.startswith((b"PK", b"\x80")) or head[8:9] == b"{":
        from wsi_pipeline.importing.checkpoint import read_checkpoint

        return read_checkpoint(path, request, **stated)
    if b"<net" in head:
        from wsi_pipeline.importing.onnx_source import read_ir

        return read_ir(path, **stated)
    if head.startswith(b"\x08") or path.suffix == ".onnx":
        from wsi_pipeline.importing.onnx_source import read_onnx

        return read_onnx(path, **stated)
    raise ImportRefusedError(path, f"is no model in a form known here: {_FORMS}")


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise ImportRefusedError(path, f"is damaged: {error}; fetch it again") from error


def _folder(path: Path, request: ImportRequest) -> Source:
    stated, configuration = _documents(path), path / "config.json"
    if not configuration.is_file():
        files = [one for one in sorted(path.iterdir()) if one.suffix in _NETWORKS]
        # An OpenVINO graph is two files.
        files = [
            one for one in files if one.with_suffix(".xml") not in files or one.suffix != ".bin"
        ]
        if len(files) == 1:
            return _file(files[0], request, stated)
        raise ImportRefusedError(
            path, f"holds no config.json and {len(files)} models; name one file, or {_FORMS}"
        )
    try:
        facts = json.loads(configuration.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImportRefusedError(configuration, f"cannot be read: {error}") from error
    if isinstance(facts, dict) and "patch_size_pixels" in facts:
        return read_wsinfer(path, facts, trust=request.trust, **stated)
    if isinstance(facts, dict) and isinstance(facts.get("pretrained_cfg"), dict):
        from wsi_pipeline.importing.checkpoint import read_hugging_face

        return read_hugging_face(path, facts, request, **stated)
    raise ImportRefusedError(
        configuration,
        "is neither WSInfer's (it lacks patch_size_pixels) nor timm's (it lacks pretrained_cfg); "
        "export the model to ONNX and import that",
    )


def _documents(path: Path) -> dict[str, Any]:
    documents = tuple(path / name for name in DOCUMENTS if (path / name).is_file())
    licence = None
    for document in documents:
        if document.name == CARD:
            front = _FRONT.match(document.read_text(encoding="utf-8", errors="replace"))
            found = front and _STATED_LICENCE.search(front.group(1))
            licence = found.group(1).strip("\"'") if found else None
        elif licence is None:
            licence = f"see {document.name}"
    return {"documents": documents, "licence": licence}
