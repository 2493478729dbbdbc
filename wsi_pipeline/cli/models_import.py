"""``wsi models import``: a model in another program's form becomes a package."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from wsi_pipeline.cli.console import console
from wsi_pipeline.errors import UsageError
from wsi_pipeline.settings import Settings

_STATED = "What the source does not say"
_ENCODER = "An encoder, which has features and no classes"
_MAP = "A network that answers with a map"


def import_package(
    path: Annotated[Path, typer.Argument(help="The model's file or folder.", metavar="PATH")],
    name: Annotated[str, typer.Option(help="Name of the package.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder of the package. Default: in the models folder."
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="Network of a checkpoint, as timm or torchvision calls it.",
            rich_help_panel=_STATED,
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Names, with commas, in order.", rich_help_panel=_STATED),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The class of interest.", rich_help_panel=_STATED)
    ] = None,
    head: Annotated[
        Literal["sigmoid", "softmax", "none"] | None,
        typer.Option(
            help="What makes probabilities of the answers; none: they are.",
            rich_help_panel=_STATED,
        ),
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="µm per px.", min=0.01, rich_help_panel=_STATED)
    ] = None,
    patch_px: Annotated[
        int | None, typer.Option(help="Side of a patch, px.", min=8, rich_help_panel=_STATED)
    ] = None,
    mean: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="Mean of R, G, B, 0-1.", rich_help_panel=_STATED),
    ] = None,
    std: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="Standard deviation of R, G, B, 0-1.", rich_help_panel=_STATED),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Of the model.", rich_help_panel=_STATED)
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            help="A text about the model, which goes into the package as README.md.",
            rich_help_panel=_STATED,
        ),
    ] = None,
    resize: Annotated[
        bool,
        typer.Option(
            help="Resize and crop patches as the source says, or give them as they are cut.",
        ),
    ] = True,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="At least 16 patches: a folder of images, or an npz with [bold]patches[/]. "
            "Default: drawn tissue.",
            metavar="PATCHES",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Px of the input for each px of a map.", min=1, rich_help_panel=_MAP),
    ] = None,
    margin: Annotated[
        int | None,
        typer.Option(
            help="Px at each side of the input whose answers are thrown away.",
            min=0,
            rich_help_panel=_MAP,
        ),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(
            help="Px of the map along each axis whose mean is a cell of results.",
            min=1,
            rich_help_panel=_MAP,
        ),
    ] = None,
    encoder: Annotated[
        bool,
        typer.Option(
            "--encoder",
            help="Import what comes before the last layer, for wsi features.",
            rich_help_panel=_ENCODER,
        ),
    ] = False,
    pooling: Annotated[
        Literal["token", "average", "token-and-average"] | None,
        typer.Option(
            help="What a transformer's features are made of. "
            "[dim]\\[default: as config.json says, or the network's][/]",
            rich_help_panel=_ENCODER,
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Load files that can run code: TorchScript in a process without network and "
            "write access, of pickles (.pt, .pth, .bin) the tensors only.",
        ),
    ] = False,
    int8: Annotated[bool, typer.Option(help="Measure int8, and allow it where near.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the package.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Make a package of a model from elsewhere, and check that it answers as it does there.

    Forms: a WSInfer folder, a Hugging Face folder of timm, TorchScript, ONNX, OpenVINO .xml, and
    weights of a network of timm or torchvision. The form is recognised by what the files hold.

    [bold]Examples[/]

    A model of the WSInfer zoo; its folder says everything:

        wsi models import breast-tumor-resnet34/ --name breast --trust

    An ONNX file, which says neither resolution nor classes:

        wsi models import net.onnx --name mine --mpp 0.5 --classes normal,tumour

    A network that answers with a map, as ONNX, whose input may have any size:

        wsi models import unet.onnx --name glands --mpp 1 --patch-px 512 --classes no,gland

    Weights of a network of timm's, with the classes of its three numbers:

        wsi models import best.safetensors --name mine --architecture resnet50 --mpp 0.5
        --classes normal,tumour,necrosis --positive tumour

    The same from a pickle, whose maker you know, in place of an earlier package:

        wsi models import best.pth --name mine --architecture resnet50 --mpp 0.5 --trust
        --overwrite

    A published encoder: its folder, with config.json, says network and input, not its resolution:

        wsi models import uni/ --name uni --mpp 0.5

    Exit codes: 0 written, 2 an option is wrong, 3 it cannot be imported.
    """
    # Imported here: this needs OpenVINO, the other verbs of this group mostly do not.
    from wsi_pipeline.importing.importer import import_model  # noqa: PLC0415
    from wsi_pipeline.importing.source import ImportRequest  # noqa: PLC0415

    if "/" in name or name.startswith("."):
        raise UsageError(f"--name {name}: letters, digits, dot, dash, underscore")
    settings = Settings()
    request = ImportRequest(
        name=name,
        architecture=architecture,
        classes=tuple(one.strip() for one in classes.split(",")) if classes else (),
        positive=positive,
        head=head,
        mpp=mpp,
        patch_px=patch_px,
        mean=mean,
        std=std,
        licence=licence,
        card=card,
        resize=resize,
        trust=trust,
        reference=reference,
        int8=int8,
        stride=stride,
        margin=margin,
        pool=pool,
        encoder=encoder,
        pooling=pooling,
    )
    folder = output or settings.models_dir / name
    with console.status("reading the model") as status:
        done = import_model(
            path, request, folder, settings.cache_dir, overwrite=overwrite, tell=status.update
        )
    package = done.package
    if json:
        facts = {
            "package": package.name,
            "folder": str(folder),
            "sha256": package.sha256,
            "form": done.form,
            "max_abs_difference": done.difference,
            "tolerance": dict(package.description.tolerance),
            "told": list(done.told),
        }
        sys.stdout.write(json_format.dumps(facts) + "\n")
        return
    out = Console()
    for told in done.told:
        out.print(f"[yellow]![/] {told}", highlight=False, soft_wrap=True)
    out.print(
        f"[green]✓[/] {package.name} in {folder}: {done.form}; fp32 differs from the source by "
        f"{done.difference:.2g} at most; precisions: {', '.join(package.description.tolerance)}",
        highlight=False,
        soft_wrap=True,
    )
