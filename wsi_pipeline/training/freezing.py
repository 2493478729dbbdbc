"""What gradient descent leaves as it is: whole blocks of the trunk, with their statistics."""

from torch import nn

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.network import Classifier

_ALL_BUT_LAST = "all-but-last-"


def blocks(classifier: Classifier) -> list[list[str]]:
    """Names of the modules of each block of the trunk, from the first to the last.

    A block is a part of the network that has weights of its own: a member of one of its sequences,
    else one of its direct parts. Layers that follow each other up to a local maximum are one block,
    as in VGG.
    """
    network, last = classifier.network, classifier.last
    ends = {id(module) for module in last.modules()}
    found: list[list[str]] = []
    for name, child in network.named_children():
        if any(id(module) in ends for module in child.modules()):
            continue
        if not isinstance(child, nn.Sequential | nn.ModuleList):
            found.append([name])
            continue
        pooled = any(isinstance(one, nn.MaxPool2d) for one in child)
        members: list[str] = []
        for inner, module in child.named_children():
            members.append(f"{name}.{inner}")
            if not pooled or isinstance(module, nn.MaxPool2d):
                found.append(members)
                members = []
        found += [members] if members else []
    with_weights = (
        [name for name in names if any(True for _ in network.get_submodule(name).parameters())]
        for names in found
    )
    return [names for names in with_weights if names]


def freeze(classifier: Classifier, what: str | tuple[str, ...]) -> list[nn.Module]:
    """Take modules out of training; the network's answer stays the same.

    Args:
        classifier: Whose network it is.
        what: See :class:`~wsi_pipeline.training.recipe.Recipe`.

    Returns:
        The modules, which are to stay in evaluation mode.

    Raises:
        UsageError: there are no such blocks or modules.
    """
    if what == "none":
        return []
    network = classifier.network
    if isinstance(what, str):
        kept = int(what.removeprefix(_ALL_BUT_LAST))
        every = blocks(classifier)
        if kept >= len(every):
            raise UsageError(f"freeze {what}: the network has {len(every)} blocks; keep fewer")
        names = [name for block in every[: len(every) - kept] for name in block]
        own = dict(network.named_parameters(recurse=False))
        for parameter in own.values():  # as the place embedding of a transformer
            parameter.requires_grad_(False)
    else:
        names = list(what)
    frozen = []
    for name in names:
        try:
            module = network.get_submodule(name)
        except AttributeError as error:
            known = ", ".join(inner for block in blocks(classifier) for inner in block)
            raise UsageError(f"freeze: the network has no module {name}; it has {known}") from error
        module.requires_grad_(False)
        frozen.append(module)
    return frozen
