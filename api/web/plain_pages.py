"""Plain pages: what there is to see where the built pages are missing, and who has a bad link."""

import html

from fastapi.responses import HTMLResponse

_SIGNED_IN = """
<p>Find tumour and other tissue on whole-slide images; masks with checksums. Research software,
not a medical device.</p>
<p>You are signed in. The programming interface is under <code>/v1</code> and described in
<a href="/v1/openapi.json">/v1/openapi.json</a>; these are its
<a href="/v1/slides">slides</a>, <a href="/v1/jobs">jobs</a> and <a href="/v1/models">models</a>.
</p>
"""
#: The link: a browser that came here from another site sends the cookie with the next step only.
_SIGNED_OUT = """
<p>You are not signed in. Open the address with <code>?token=</code> that <code>wsi serve</code>
printed when it started, or append the token that it keeps in its data folder. If you have just
done so, <a href="/">go on</a>.</p>
<p>Programs send a key as <code>Authorization: Bearer KEY</code>;
<code>wsi keys create</code> makes keys.</p>
"""


def signed_in() -> HTMLResponse:
    """Where things are."""
    return _page("WSI Pipeline", _SIGNED_IN, 200)


def signed_out() -> HTMLResponse:
    """How to sign in."""
    return _page("WSI Pipeline", _SIGNED_OUT, 401)


def bad_link() -> HTMLResponse:
    """The same, to somebody whose link is no longer good."""
    return _page("This address is no longer valid", _SIGNED_OUT, 401)


def _page(title: str, body: str, status: int) -> HTMLResponse:
    """A page that needs neither style nor script, so that nothing inline has to be allowed."""
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>{body}</body>\n</html>\n"
    )
    return HTMLResponse(text, status)
