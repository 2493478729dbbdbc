"""What every report has around its sections: title, facts and notice, and how it was made."""

from collections.abc import Iterable, Mapping

from wsi_pipeline.page.markup import section, tag, text

NOTICE = "Research software, not a medical device"


def header(
    title: str, facts: Iterable[str], *, warnings: Iterable[str] = (), notice: str = NOTICE
) -> str:
    """The head of the page: its notice, its title, and lines of facts; all in plain words."""
    return tag(
        "header",
        tag("p", text(notice), cls="notice")
        + tag("h1", text(title))
        + "".join(tag("p", text(fact), cls="facts") for fact in facts)
        + "".join(tag("p", text(words), cls="warning") for words in warnings),
    )


def footer(program: str = "", *, notice: str = NOTICE) -> str:
    """The last lines of the page: the notice, and the program where it is told."""
    return tag("footer", text(f"{notice}. {program}." if program else f"{notice}."))


def method_section(
    items: Mapping[str, str], lead: str, title: str = "How the figures are computed"
) -> str:
    """The section that says how the figures were made: words by their subject, all plain."""
    listing = "".join(tag("dt", text(key)) + tag("dd", text(words)) for key, words in items.items())
    return section("method", title, lead, tag("dl", listing))
