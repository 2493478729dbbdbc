"""A model's card: one page that says what the model is, from its ``model.yaml``.

The headings follow Mitchell et al., *Model Cards for Model Reporting* (2019), as far as a package
states what belongs under them.
"""

import base64
import io
from collections.abc import Iterable, Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.input_description import Preprocessing
from wsi_pipeline.model.package import TRAINING_FEATURES, ModelPackage
from wsi_pipeline.model.slide_level_section import SlideFigure, SlideLevelSection
from wsi_pipeline.stain.appearance import Appearance, LabStatistics

#: Reference patches shown, from the least to the most probable, and their side on the page.
_SHOWN, _SHOWN_PX = 8, 112

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #5b6675; --page: #f6f7f9;
  --card: #ffffff; --line: #dde2e8; --warn: #8a4b00; --warn-back: #fff3df; --accent: #1f5f99; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --page: #14181e;
  --card: #1c222b; --line: #323b47; --warn: #ffc672; --warn-back: #3a2a12; --accent: #7db8ee; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 54rem; margin: 0 auto; }
header p { color: var(--soft); margin: .2rem 0 0; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; overflow-wrap: anywhere; }
h1 small { color: var(--soft); font-weight: 400; font-size: 1.1rem; }
h2 { font-size: 1.05rem; margin: 0 0 .7rem; }
section, .notice { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1.1rem 1.3rem; margin-top: 1rem; }
.notice { background: var(--warn-back); color: var(--warn); border-color: currentColor; }
.notice p { margin: 0; }
p { margin: 0 0 .6rem; } p:last-child { margin-bottom: 0; }
dl { display: grid; grid-template-columns: minmax(8rem, 13rem) 1fr; gap: .45rem 1.2rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .35rem .6rem .35rem 0; border-top: 1px solid var(--line);
  vertical-align: top; font-weight: 400; }
tr:first-child > * { border-top: 0; }
td.number { text-align: right; padding-right: 0; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
code { font: .85em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
.patches { display: grid; grid-template-columns: repeat(auto-fill, minmax(5.4rem, 1fr));
  gap: .8rem; }
figure { margin: 0; }
figure img { width: 100%; border-radius: .35rem; display: block; }
figcaption { font-size: .85rem; color: var(--soft); font-variant-numeric: tabular-nums; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; } }
"""


def card(package: ModelPackage) -> str:
    """The card as one HTML document that needs nothing else: no script, no font, no other file."""
    about = package.description
    resolution = f"{about.mpp:g} µm per px" if about.mpp else f"pyramid level {about.level}"
    network = {
        "network": about.architecture.name,
        "pooling, dropout": f"global {about.architecture.pooling}, {about.architecture.dropout:g}",
        "input": f"{about.patch_px} × {about.patch_px} px RGB at {resolution}",
        "normalisation": f"mean {_triple(about.normalisation.mean)}, "
        f"standard deviation {_triple(about.normalisation.std)} (RGB 0–255)",
    }
    if about.output == "features":
        network["answers with"] = f"{package.reference()[1].shape[1]:,} features"
    else:
        network |= {
            "classes": ", ".join(one.name for one in about.classes),
            "task": f"{about.task}, head {about.activation}",
            "positive class": about.positive,
        }
    if about.map is not None:
        network["answers with"] = (
            f"a map, {about.cell_px} px a cell, without margins of {about.margin_px} px"
        )
    if about.architecture.head is not None:
        head = about.architecture.head
        reduced = "" if head.reduce == "none" else f" after {head.reduce.upper()}"
        network["head"] = f"{head.kind}{reduced}, in place of the last layer"
    if about.images is not None:
        cut = ", background made white" if about.images.background == "cut" else ""
        network["single images"] = f"{about.images.how}, filled with {about.images.fill}{cut}"
    stain = about.preprocessing.stain
    if stain is not None:
        network["stain"] = (
            f"each slide or image is normalised ({stain.method}) to {_appearance(stain.target)}"
        )
    preprocessing = _preprocessing(about.preprocessing)
    if preprocessing:
        network["preprocessing"] = preprocessing
    decision = {
        "threshold": _threshold(about),
        "how it was chosen": about.threshold.chosen,
        "temperature": f"{about.calibration.temperature:.4g}",
        "how it was fitted": about.calibration.fitted,
    }
    colours = about.training.colours
    training = {"data": about.training.data}
    if colours is not None:
        training["stain"] = (
            f"optical density {_triple(colours.mean)} ± {_triple(colours.std)} (R, G, B), measured "
            f"on {colours.patches:,} training patches"
        )
    training["recognises"] = _recognises(package)
    title = escape(f"{about.name} {about.version}")
    parts = [
        _section("Intended use", _paragraph(about.intended_use)),
        *([] if about.output == "features" else [_section("Decision", _facts(decision))]),
        *([] if about.slide_level is None else [_slide_level(about.slide_level)]),
        _section("Figures stated by its author", _metrics(about.training.metrics)),
        _section("Trained on", _facts(training)),
        _section("Network", _facts(network)),
        _section("Reference patches", _reference(package)),
        _section("Package", _files(package)),
        *(
            _section(f"{name}, as it came with the model", f"<pre>{escape(text)}</pre>")
            for name, text in package.documents().items()
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} – model card</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(about.name)} <small>{escape(about.version)}</small></h1>"
        f"<p>Model card · licence {escape(about.licence)}</p></header>\n"
        f"{_notice(about)}\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def _slide_level(section: SlideLevelSection) -> str:
    """The answer for whole slides: fit, calibration, figures, and the rule with α, δ and n."""
    rule, sure = section.rule, f"{100 * (1 - section.rule.delta):g} % confidence"
    counts = ", ".join(f"{count} {name}" for name, count in section.slides.items())
    clear = (
        f"none: at least {rule.needed} slides below a limit, none of them positive, are needed"
        if rule.clear_below is None
        else f"probability below {rule.clear_below:.4g}: of such slides at most "
        f"{100 * rule.alpha:g} % are positive, with {sure} ({rule.missed} of {rule.clear} "
        f"validation slides were)"
    )
    suspicious = (
        "none: the validation slides were too few"
        if rule.suspicious_from is None
        else f"probability from {rule.suspicious_from:.4g} on: of such slides at most "
        f"{100 * rule.false_alarms:g} % are negative, with {sure}"
    )
    facts = {
        "fit": f"{section.kind}; {section.fitted}",
        **_tiles(section),
        "slides": f"{counts}; of {section.patients} patients",
        "calibration": f"{section.calibration.method}; {section.calibration.fitted}",
        "clear": clear,
        "suspicious": suspicious,
        "look again": "all others, and slides below the limit with an alarm",
        "rule": f"α = {rule.alpha:g}, δ = {rule.delta:g}, n = {rule.slides} slides, one of each "
        f"patient, {rule.positives} of them positive; their probabilities are {rule.scores}",
        **{name.replace("_", " "): _figure(figure) for name, figure in section.metrics.items()},
    }
    return _section("Whole slides", _facts(facts))


def _tiles(section: SlideLevelSection) -> dict[str, str]:
    """How tiles have to be cut; nothing where that is not kept."""
    tiles = section.tiles
    if tiles is None or (tiles.patch_px is None and tiles.mpp is None):
        return {}
    parts = [f"{tiles.patch_px} px"] if tiles.patch_px is not None else []
    parts += [f"{tiles.mpp:.4g} µm/px"] if tiles.mpp is not None else []
    return {"tiles": f"{', '.join(parts)}: slides cut otherwise are refused"}


def _figure(figure: SlideFigure) -> str:
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} (95 % {figure.low:.3f} to {figure.high:.3f})"


def _notice(about: ModelDescription) -> str:
    said = "<strong>Research software, not a medical device.</strong>"
    if about.notice:
        said += f" <strong>{escape(about.notice.rstrip('.'))}.</strong>"
    if about.training.synthetic:
        said += " It has seen drawings of tissue only, and its results on real tissue mean nothing."
    return f'<div class="notice" role="note"><p>{said}</p></div>'


def _recognises(package: ModelPackage) -> str:
    """What slides and images are compared with."""
    if TRAINING_FEATURES not in package.description.files:
        return "nothing: wsi models familiarise adds what the training data looked like"
    kinds = "features, colour, focus" if package.knows_features else "colour, focus"
    return f"data unlike its training data, in {kinds} and texture"


def _threshold(about: ModelDescription) -> str:
    if about.task == "multiclass":
        return "none: a cell has its most likely class"
    classes = about.positive if about.task == "binary" else "of a class"
    return f"{about.threshold.value:.4g}: at and above it, a cell is {classes}"


def _appearance(target: Appearance) -> str:
    if isinstance(target, LabStatistics):
        return f"L*, a*, b* of {_triple(target.mean)} ± {_triple(target.std)}"
    dense = " / ".join(f"{one:.4g}" for one in target.concentrations)
    return (
        f"haematoxylin {_triple(target.haematoxylin)}, eosin {_triple(target.eosin)} (optical "
        f"density of R, G, B), {dense} in dense tissue"
    )


def _preprocessing(steps: Preprocessing) -> str:
    """In words; empty where there is nothing but the normalisation."""
    found = []
    if steps.resize is not None:
        found.append(f"resized to {steps.resize.px} px ({steps.resize.interpolation})")
    if steps.pad is not None:
        found.append(f"padded to {steps.pad} px")
    if steps.crop is not None:
        found.append(f"cropped to the central {steps.crop} px")
    return ", ".join(found)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _facts(facts: Mapping[str, str]) -> str:
    rows = (f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    return f"<dl>{''.join(rows)}</dl>"


def _metrics(metrics: Mapping[str, float]) -> str:
    if not metrics:
        return _paragraph("None.")
    rows = (
        f'<tr><th scope="row">{escape(name.replace("_", " "))}</th>'
        f'<td class="number">{value:.4g}</td></tr>'
        for name, value in metrics.items()
    )
    return f"<table>{''.join(rows)}</table>"


def _reference(package: ModelPackage) -> str:
    patches, answers = package.reference()
    if package.description.output == "features":
        chosen = np.linspace(0, len(patches) - 1, min(_SHOWN, len(patches))).round().astype(int)
        figures = "".join(
            f'<figure><img alt="reference patch" src="{_picture(patches[index])}"></figure>'
            for index in chosen
        )
        told = (
            f"{len(chosen)} of the {len(patches)} patches whose features a runtime has to "
            "reproduce before it is trusted."
        )
        return f'{_paragraph(told)}<div class="patches">{figures}</div>'
    if package.description.map is not None:
        answers = answers.mean(axis=(-2, -1))
    probabilities = package.classes.plane_of(
        package.description.positive, np.moveaxis(answers, 0, -1)
    )
    order = np.argsort(probabilities, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int)]
    figures = "".join(
        f'<figure><img alt="reference patch" src="{_picture(patches[index])}">'
        f"<figcaption>p = {probabilities[index]:.3f}</figcaption></figure>"
        for index in chosen
    )
    told = (
        f"{len(chosen)} of the {len(patches)} patches that a runtime has to reproduce before it is "
        f"trusted, with their probabilities of {package.description.positive}."
    )
    return f'{_paragraph(told)}<div class="patches">{figures}</div>'


def _picture(patch: NDArray[np.uint8]) -> str:
    image = Image.fromarray(patch)
    image.thumbnail((2 * _SHOWN_PX, 2 * _SHOWN_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _files(package: ModelPackage) -> str:
    about = package.description
    allowed = ", ".join(f"{name} {value:g}" for name, value in about.tolerance.items())
    rows = [("model.yaml", package.sha256), *sorted(about.files.items())]
    table = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td><code>{escape(sha)}</code></td></tr>'
        for name, sha in rows
    )
    told = f"SHA-256 of its files; that of model.yaml names the package. Tolerance: {allowed}."
    return f"{_paragraph(told)}<table>{table}</table>"


def _triple(values: Iterable[float]) -> str:
    return " / ".join(f"{value:.4g}" for value in values)
