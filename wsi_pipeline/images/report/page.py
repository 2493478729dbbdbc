"""The page: header, warnings, sections and how the figures were made, in one HTML file."""

from collections.abc import Sequence
from typing import Any

from wsi_pipeline.classes import Classes
from wsi_pipeline.images.familiarity import unlike_in_words
from wsi_pipeline.images.report.figures import METHOD, figures_section, sources_section
from wsi_pipeline.images.report.galleries import errors_section, review_section
from wsi_pipeline.images.table import Row
from wsi_pipeline.page.document import document
from wsi_pipeline.page.markup import counted, number_cell, row, section, table, tag, text
from wsi_pipeline.page.report import footer, header, method_section

Json = dict[str, Any]

#: Errors that are named on the page.
_NAMED = 10


def report_page(summary: Json, rows: Sequence[Row], classes: Classes, *more: str) -> str:
    """Write the page as one HTML document that needs nothing but itself.

    Args:
        summary: The contents of ``summary.json``.
        rows: Of the table.
        classes: Of the model.
        more: Further sections, ready HTML.
    """
    evaluation = summary["evaluation"]
    model = summary["model"]
    title = f"Images classified by {model['name']} {model['version']}"
    body = [_header(title, summary), _warnings(summary), _answers(summary)]
    if evaluation is not None and evaluation["all"] is not None:
        body += [figures_section(evaluation, classes), sources_section(evaluation, classes)]
        body.append(errors_section(rows, classes))
    body += [review_section(rows), *more, _method(summary)]
    body.append(footer(summary["program"]))
    return document(title, "".join(body))


def _header(title: str, summary: Json) -> str:
    model, runtime = summary["model"], summary["runtime"]
    facts = [
        f"{counted(summary['done'], 'image')} of {summary['images']}",
        f"classes: {', '.join(model['classes'])}; class of interest: {model['positive']}",
        f"{runtime['runtime']} in {runtime['precision']} on {runtime['device']}",
    ]
    return header(title, facts)


def _warnings(summary: Json) -> str:
    """What a person has to know before believing a figure."""
    model, evaluation = summary["model"], summary["evaluation"]
    told = []
    if model["notice"]:
        told.append(f"The model: {model['notice'].rstrip('.')}.")
    if not model["made_for_images"]:
        told.append(
            "The model was made for patches of slides. Single images are padded to its square, "
            "whatever their resolution."
        )
    if summary["review_unavailable"]:
        told.append(f"No image is marked to be looked at again: {summary['review_unavailable']}.")
    if summary["seen"] and summary["seen"]["told"]:
        words = summary["seen"]["told"]
        told.append(f"{words[:1].upper()}{words[1:]}.")
    unlike = summary.get("unlike_training")
    if unlike is not None and unlike["unlike"]:
        told.append(
            f"{unlike_in_words(unlike['unlike'], unlike['compared'])}: fewer than "
            f"{unlike['level']:.0%} of images like those are as far. "
            "Their answers are less reliable than the model's figures say. The column "
            "unlike_training of images.csv says in what."
        )
    for name, what in (("failed", "image"), ("problems", "row")):
        if summary[name]:
            first = "; ".join(summary[name][:_NAMED])
            told.append(f"{counted(len(summary[name]), what)} left out: {first}.")
    if evaluation is not None:
        told += _of_labels(evaluation)
    return "".join(tag("p", text(words), cls="warning") for words in told)


def _of_labels(evaluation: Json) -> list[str]:
    told = []
    if evaluation["unknown_labels"]:
        named = ", ".join(f"{name} ({n:,})" for name, n in evaluation["unknown_labels"].items())
        told.append(
            f"The model does not know these labels: {named}. Their images are in the confusion "
            "matrix and in no other figure."
        )
    if evaluation["all"] is None:
        told.append("No label is a class of the model: there are no figures.")
    elif not evaluation["grouped"]:
        told.append(
            "Not all groups (patients, slides, smears) are known: the others' images are drawn one "
            "by one, which makes intervals too narrow where several are of one patient."
        )
    if evaluation["unlabelled"]:
        told.append(f"Without a label, so in no figure: {evaluation['unlabelled']:,}.")
    return told


def _answers(summary: Json) -> str:
    rows = [
        row(tag("th", text(name), scope="row"), number_cell(f"{count:,}"))
        for name, count in summary["predicted"].items()
    ]
    lead = "How many images were called each class."
    if summary["review"] is not None:
        lead += (
            f" To be looked at again: {summary['review']:,} of {summary['done']:,}, whose "
            f"prediction set at a coverage of {summary['coverage']:.0%} does not hold exactly one "
            "class."
        )
    return section("answers", "Answers", text(lead), table(["class", "|images"], rows))


def _method(summary: Json) -> str:
    items = {
        "Review": "split conformal prediction (Sadinle, Lei and Wasserman 2019). The set of an "
        "image holds every class whose probability is at least a limit, which is chosen on "
        "validation images so that the stated share of the sets holds the true class. That share "
        "is promised for images like those; of another laboratory's it may fall.",
        **METHOD,
    }
    if summary["least_probability_in_set"] is not None:
        items["Review"] += f" Here the limit is {summary['least_probability_in_set']:.4f}."
    lead = "Every number of this page is in summary.json, every image in images.csv."
    return method_section(items, lead)
