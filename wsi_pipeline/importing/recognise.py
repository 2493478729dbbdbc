"""Which form a model is in, by what its files hold."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from wsi_pipeline.importing.source import ImportRefusedError, ImportRequest, Source
from wsi_pipeline.importing.torchscript import answer_torchscript, check_trust
from wsi_pipeline.model.description import Preprocessing

_DOCUMENTS = ("README.md", "LICENSE", "LICENSE.txt", "LICENSE.md")
_LICENCE = re.compile(r"^license:\s*(\S+)", re.MULTILINE)


def read_source(path: Path, request: ImportRequest) -> Source:
    """A model in any of the forms known here.

    Raises:
        ImportRefusedError: it is in none, or is damaged.
    """
    # ruff: noqa: PLC0415 - each form's library takes seconds to import
    if path.is_dir():
        return _folder(path, request)
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ImportRefusedError(path, f"cannot be read: {error.strerror}") from error
    if head.startswith(b"PK") and _is_torchscript(path):
        check_trust(path, trust=request.trust)
        return Source(
            "TorchScript", "torch.jit", lambda x, folder: answer_torchscript(path, x, folder)
        )
    if head.startswith((b"PK", b"\x80")) or head[8:9] == b"{":
        from wsi_pipeline.importing.checkpoint import read_checkpoint

        return read_checkpoint(path, request.architecture)
    if b"<net" in head:
        from wsi_pipeline.importing.onnx_source import read_ir

        return read_ir(path)
    if head.startswith(b"\x08") or path.suffix == ".onnx":
        from wsi_pipeline.importing.onnx_source import read_onnx

        return read_onnx(path)
    raise ImportRefusedError(
        path,
        "is no model in a form known here: a WSInfer or Hugging Face folder, TorchScript, ONNX, "
        "OpenVINO .xml, or weights of a timm network",
    )


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise ImportRefusedError(path, f"is damaged: {error}") from error


def _folder(path: Path, request: ImportRequest) -> Source:
    try:
        facts = json.loads((path / "config.json").read_text(encoding="utf-8"))
        stated = _documents(path)
        if "patch_size_pixels" in facts:
            return _wsinfer(path, facts, request, stated)
        if "pretrained_cfg" in facts:
            return _hugging_face(path, facts, stated)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImportRefusedError(
            path / "config.json", f"cannot be read as a model's: {error!r}"
        ) from error
    raise ImportRefusedError(
        path,
        "its config.json is neither WSInfer's (patch_size_pixels) nor timm's (pretrained_cfg); "
        "export the model to ONNX and import that",
    )


def _documents(path: Path) -> dict[str, Any]:
    documents = tuple(path / name for name in _DOCUMENTS if (path / name).is_file())
    licence = None
    if (path / "README.md").is_file():
        found = _LICENCE.search((path / "README.md").read_text(encoding="utf-8", errors="replace"))
        licence = found.group(1) if found else None
    return {"documents": documents, "licence": licence}


def _wsinfer(
    path: Path, facts: dict[str, Any], request: ImportRequest, stated: dict[str, Any]
) -> Source:
    """WSInfer's folder, by its ``model-config.schema.json`` 1.0."""
    network = path / "torchscript_model.pt"
    if not network.is_file():
        raise ImportRefusedError(path, f"holds no {network.name}")
    check_trust(network, trust=request.trust)
    names = tuple(str(one) for one in facts["class_names"])
    if len(names) != int(facts["num_classes"]):
        raise ImportRefusedError(
            path, f"says {facts['num_classes']} classes and names {len(names)}; correct config.json"
        )
    side, mean, std = int(facts["patch_size_pixels"]), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    steps: dict[str, Any] = {}
    order = [one["name"] for one in facts["transform"]]
    if order not in (
        ["Resize", "ToTensor", "Normalize"],
        ["ToTensor", "Normalize"],
        ["Resize", "ToTensor"],
        ["ToTensor"],
    ):
        raise ImportRefusedError(path, f"transforms by {', '.join(order)}, which is not known here")
    for one in facts["transform"]:
        given = one.get("arguments", {})
        if one["name"] == "Resize":
            sides = given["size"] if isinstance(given["size"], list) else [given["size"]]
            if len(set(sides)) != 1:
                raise ImportRefusedError(path, f"resizes to {sides} px, which is no square")
            side = int(sides[0])
            steps = {
                "resize": {"px": side, "interpolation": given.get("interpolation", "bilinear")}
            }
        elif one["name"] == "Normalize":
            (m1, m2, m3), (s1, s2, s3) = given["mean"], given["std"]
            mean, std = (float(m1), float(m2), float(m3)), (float(s1), float(s2), float(s3))
    return Source(
        "WSInfer model",
        "torch.jit",
        lambda x, folder: answer_torchscript(network, x, folder),
        side=side,
        preprocessing=Preprocessing.model_validate(steps),
        patch_px=int(facts["patch_size_pixels"]),
        mean=mean,
        std=std,
        mpp=float(facts["spacing_um_px"]),
        classes=names,
        head="by number",
        **stated,
    )


def _hugging_face(path: Path, facts: dict[str, Any], stated: dict[str, Any]) -> Source:
    """A folder as timm pushes it to the Hugging Face hub."""
    from wsi_pipeline.importing.checkpoint import timm_source

    weights = next(
        (path / n for n in ("model.safetensors", "pytorch_model.bin") if (path / n).is_file()), None
    )
    if weights is None:
        raise ImportRefusedError(path, "holds no model.safetensors")
    if facts.get("model_args"):
        raise ImportRefusedError(
            path, f"builds its network with model_args {facts['model_args']}; export it to ONNX"
        )
    configuration = facts["pretrained_cfg"]
    names = facts.get("label_names") or configuration.get("label_names") or ()
    return timm_source(
        weights,
        str(facts["architecture"]),
        configuration,
        form="Hugging Face folder",
        classes=tuple(str(one) for one in names),
        **stated,
    )
