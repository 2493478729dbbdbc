"""Where the bytes of single images lie, and what is made of them."""

from wsi_pipeline.service.tables import new_id

#: First parts of keys in storage.
IMAGES, ANSWERS = "images", "answers"
#: Longest sides, in px.
THUMBNAIL_PX, DISPLAY_PX = 256, 1024


def image_key(sha256: str, image_id: str) -> str:
    """Key of an image's own bytes."""
    return f"{IMAGES}/{sha256}/{image_id}"


def thumbnail_key(location: str) -> str:
    """Key of the small JPEG that a worker makes of an image.

    Args:
        location: Key of the image.
    """
    return f"{location}.thumbnail.jpg"


def display_key(location: str) -> str:
    """Key of the JPEG for the screen that a worker makes of an image.

    Args:
        location: Key of the image.
    """
    return f"{location}.display.jpg"


def image_of(key: str) -> str:
    """Key of the image that a file belongs to: its own bytes, or what was made of them."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def new_answer_key(question_id: str) -> str:
    """A key nobody has used, for a picture that answers a question: it never changes."""
    return f"{ANSWERS}/{question_id}/{new_id()}.jpg"
