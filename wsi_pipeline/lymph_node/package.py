"""The package ``lymph-node``: trunk and head as one graph, with what the head is worth."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsi_pipeline.lymph_node import LYMPH_NODE
from wsi_pipeline.lymph_node.familiarity import add_familiarity
from wsi_pipeline.lymph_node.features import new_trunk
from wsi_pipeline.lymph_node.head_file import FITTED, load_head, load_metrics
from wsi_pipeline.lymph_node.network import CELL_PX, MEAN, MPP, PATCH_PX, STD, LymphNodeNetwork
from wsi_pipeline.model.description import GRAPH, GRAPH_WEIGHTS, REFERENCE
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.synth import render_patches

#: Stains and seeds of the drawn slides that reference patches are cut from. Real ones are not ours
#: to hand on; a reference only has to be computed alike by every runtime.
_REFERENCE_SLIDES = (("a", 31), ("b", 32), ("c", 33))
_REFERENCES_OF_A_KIND = 4


def build_lymph_node_package(
    folder: Path, *, version: str, progress: Callable[[str], None] = lambda _: None
) -> ModelPackage:
    """Build the package into a new folder from what comes with this program.

    Args:
        folder: Must not exist.
        version: For ``model.yaml``.
        progress: Told what is being done.

    Raises:
        PackageError: the trunk's weights are not installed, or the head cannot be read.
    """
    progress("putting trunk and head together")
    metrics = load_metrics()
    network = LymphNodeNetwork(new_trunk(), load_head()).eval()
    shape = (1, 3, PATCH_PX, PATCH_PX)
    with torch.inference_mode(), warnings.catch_warnings():
        # Torch calls OpenVINO's way of tracing deprecated.
        warnings.simplefilter("ignore")
        graph = ov.convert_model(
            network, example_input=torch.zeros(shape), input=[[-1, *shape[1:]]]
        )
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    progress("drawing and computing the reference")
    patches = np.concatenate(
        [
            render_patches(
                kind, _REFERENCES_OF_A_KIND, seed=seed, patch_px=PATCH_PX, mpp=1.0, stain=stain
            )
            for stain, seed in _REFERENCE_SLIDES
            for kind in ("tumour", "normal")
        ]
    )
    with torch.inference_mode():
        values = torch.from_numpy(patches).permute(0, 3, 1, 2).float()
        logits = network((values - MEAN) / STD)[:, 0, 1:-1, 1:-1]
        temperature = metrics["calibration"]["temperature"]
        probabilities = torch.sigmoid(logits / temperature).numpy()
    write_npz(folder / REFERENCE, patches=patches, probabilities=probabilities)
    add_familiarity(FITTED, folder)
    mode = (folder / REFERENCE).stat().st_mode
    for name in (GRAPH, GRAPH_WEIGHTS):
        (folder / name).chmod(mode)
    return write_description(folder, _description(version, metrics))


def _description(version: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    held_out, calibration = metrics["held_out"], metrics["calibration"]
    pcam, lymph = held_out["pcam"], held_out["lymph-node"]
    expected, last = pcam["auc_of_another_slide"], metrics["test"]["pcam"]
    return {
        "name": LYMPH_NODE,
        "version": version,
        "architecture": {"name": "graph"},
        "classes": ["normal", "tumour"],
        "positive": "tumour",
        "notice": f"Research preview, fitted on {metrics['patches']:,} patches",
        "output": "map",
        "map": {"stride_px": CELL_PX, "margin_px": CELL_PX},
        "patch_px": PATCH_PX,
        "mpp": MPP,
        "normalisation": {"mean": [MEAN] * 3, "std": [STD] * 3},
        "threshold": {
            "value": calibration["threshold"],
            "chosen": f"{calibration['rule']} on {calibration['patches']:,} patches, each by a "
            "head that never saw its group",
        },
        "calibration": {
            "temperature": calibration["temperature"],
            "fitted": "temperature by maximum likelihood on the same patches; expected calibration "
            f"error {calibration['before']['ece']:.4f} before, "
            f"{calibration['after']['ece']:.4f} after. Half of these patches are tumour; on a "
            "slide far less is, and probabilities are then too high",
        },
        "training": {
            "data": f"{pcam['patches']:,} PatchCamelyon patches (CAMELYON16, slides unknown; "
            f"{pcam['groups']:,} overlap groups) and {lymph['patches']:,} patches of "
            f"{lymph['groups']} CAMELYON16 slides (001, 004, 064); both CC0. Trunk: "
            "EfficientNet-Lite0 with ImageNet weights (Apache-2.0), not trained further. "
            f"Held out by groups in {metrics['folds']} folds: {_told('PatchCamelyon', pcam)}; "
            f"{_told('the slides, each left out whole', lymph)} (interval by patches, too narrow "
            "for other slides). PatchCamelyon may hold other patches of these slides, and patches "
            "of one slide on both sides of a split: only overlaps are known. "
            f"{last['patches']} further PatchCamelyon patches were scored once, at the end, by "
            f"this head, which never saw them: {_told('test', last)}. On another slide an AUC "
            f"between {expected['low']:.3f} and {expected['high']:.3f} is expected (95 % "
            f"prediction interval from {len(pcam['auc_of_like_colours'])} groups of like colours)",
            "metrics": {
                "held_out_patch_auc": pcam["auc"]["value"],
                "held_out_patch_auc_low": pcam["auc"]["low"],
                "held_out_patch_auc_high": pcam["auc"]["high"],
                "held_out_patch_sensitivity": pcam["sensitivity"]["value"],
                "held_out_patch_specificity": pcam["specificity"]["value"],
                "test_patch_auc": last["auc"]["value"],
                "left_out_slides_patch_auc": lymph["auc"]["value"],
                "another_slide_auc_low": expected["low"],
                "another_slide_auc_high": expected["high"],
            },
            "colours": metrics["colours"],
        },
        "licence": "Apache-2.0",
        "intended_use": "Research preview: breast cancer metastases in sentinel lymph nodes, H&E, "
        "scanned at 0.25 to 0.5 µm/px. It has never seen another organ, another stain, frozen "
        "sections, isolated tumour cells by themselves, or whole slides: its figures are of "
        "patches. A cell is 31 µm wide and judged by 93 µm. Not a medical device.",
        "tolerance": {"fp32": 0.002, "bf16": 0.15, "fp16": 0.05},
    }


def _told(what: str, figures: Mapping[str, Any]) -> str:
    def one(name: str) -> str:
        value = figures[name]
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"

    return (
        f"{what}: patch AUC {one('auc')}, sensitivity {one('sensitivity')}, "
        f"specificity {one('specificity')}"
    )
