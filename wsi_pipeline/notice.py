"""The notice of a model: a few words shown wherever the model or one of its results is shown."""

#: Of models that say no more than that they know drawings only.
SYNTHETIC = "Trained on synthetic tissue"

#: Most characters: a notice stands in one line of a table.
LONGEST = 80


def notice_of(stated: str, *, synthetic: bool) -> str:
    """What is shown of a model; empty where there is nothing to say.

    Args:
        stated: By the package, or by the result; empty where it states none.
        synthetic: Whether the model was trained on synthetic tissue.
    """
    return stated or (SYNTHETIC if synthetic else "")
