"""Where questions are answered: each kind by its own desk, whatever goes wrong."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from workers.child import Tell
from workers.illustrator import Illustrator
from workers.image_desk import ImageDesk
from workers.materials import installed_package, unexpected
from workers.messages import Answered, Query, QueryItem, Unanswered, WorkerSetup
from workers.outbox import Outbox
from workers.tile_desk import TileDesk
from wsi_pipeline.errors import WsiError
from wsi_pipeline.model.catalogue import ModelCatalogue
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.service.problem import problem_of
from wsi_pipeline.storage import open_storage

log = logging.getLogger(__name__)

_Work = Callable[[ModelPackage, Sequence[QueryItem]], Iterator[Answered | Unanswered]]


class Desk:
    """Answers queries, and keeps models and a slide open for the next.

    Args:
        equipment: What all work shares.
        tell: Takes the answers.
    """

    def __init__(self, equipment: WorkerSetup, tell: Tell) -> None:
        self._tell = tell
        self._models = ModelCatalogue(Path(equipment.models))
        storage = open_storage(equipment.storage)
        outbox = Outbox(storage, Path(equipment.copies) / "answers")
        illustrator = Illustrator(equipment.device)
        images = ImageDesk(equipment, storage, outbox, illustrator)
        tiles = TileDesk(equipment, storage, outbox, illustrator)
        self._kinds: dict[str, _Work] = {
            "classify": images.classify,
            "explain": images.explain,
            "why": tiles.why,
        }

    def answer(self, query: Query) -> None:
        """Tell one message for each question, as soon as it is known."""
        left = {item.question_id: item for item in query.items}
        try:
            package = installed_package(self._models, query.model, query.model_sha256)
            for message in self._kinds[query.kind](package, query.items):
                left.pop(message.question_id)
                self._tell(message)
        except Exception as error:  # told to the worker, which decides
            final = isinstance(error, WsiError)
            if not final:
                log.exception("questions failed")
            problem = problem_of(error if isinstance(error, WsiError) else unexpected(error))
            for question_id in left:
                self._tell(Unanswered(question_id, problem, final=final))
