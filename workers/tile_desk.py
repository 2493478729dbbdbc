"""Questions about the tiles of an analysed slide: what the answer for one rests on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.illustrator import Illustrator, class_index
from workers.materials import settings_of, slide_path, without_names
from workers.messages import Answered, QueryItem, Unanswered, WorkerSetup
from workers.outbox import Outbox
from wsi_pipeline.errors import DamagedSlideError, PackageError, SlideError
from wsi_pipeline.grid import Grid
from wsi_pipeline.images.placement import Placement
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.run.checked_slide import check_slide
from wsi_pipeline.run.preparation import fit_slide_stain, plan_tiles
from wsi_pipeline.service.problem import problem_of
from wsi_pipeline.service.slides import LINKED
from wsi_pipeline.slide import SlideReader
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.slide.probe import ProbeLimits, Prober
from wsi_pipeline.stain.normalisation import Recolouring
from wsi_pipeline.storage import Storage
from wsi_pipeline.tiles.patches import read_input

#: A tile is the model's square itself.
_WHOLE = Placement(1.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Open:
    """A slide that is kept open, and what it is."""

    identity: tuple[object, ...]
    reader: SlideReader
    grid: Grid
    recolour: Recolouring


class TileDesk:
    """Answers questions about tiles, and keeps the slide open that was asked about last.

    Args:
        equipment: What all work shares.
        storage: The service's.
        outbox: Stores pictures.
        illustrator: Draws explanations.
    """

    def __init__(
        self, equipment: WorkerSetup, storage: Storage, outbox: Outbox, illustrator: Illustrator
    ) -> None:
        self._storage, self._outbox = storage, outbox
        self._copies = Path(equipment.copies)
        self._limits = ProbeLimits(equipment.check_seconds, equipment.check_memory_bytes)
        self._illustrator = illustrator
        self._open: _Open | None = None

    def why(
        self, package: ModelPackage, items: Sequence[QueryItem]
    ) -> Iterator[Answered | Unanswered]:
        """Pictures of what the probability of a class rests on, each for one tile.

        The px are the very ones that the analysis gave to the model.

        Raises:
            PackageError: this model, or this worker, cannot explain.
            UsageError: the settings of the job come to something else here, or the model has no
                such class.
        """
        if package.description.map is not None:
            raise PackageError(
                package.name,
                "answers with a map of each tile, which shows by itself where a class is found; "
                "explanations are for models that answer with classes",
            )
        for item in items:
            facts = item.facts
            index = class_index(package, facts["class"])
            try:
                slide = self._slide(package, facts)
                pixels = slide.recolour(
                    read_input(slide.reader, slide.grid, facts["column"], facts["row"])
                )
            except SlideError as error:
                self._close()  # after an error a handle is of no use
                problem = without_names(problem_of(error), facts["slide_location"])
                yield Unanswered(item.question_id, problem, final=True)
                continue
            drawn, method = self._illustrator.draw(package, index, pixels, pixels, _WHOLE)
            self._outbox.put(item.picture, drawn)
            answer = {"class": facts["class"], "method": method}
            yield Answered(item.question_id, answer, drawn=True)

    def _slide(self, package: ModelPackage, facts: dict[str, Any]) -> _Open:
        """The slide, opened as the analysis opened it.

        Raises:
            SlideError: something is wrong with it.
        """
        analysis = settings_of(facts["config"], package, facts["fingerprint"])
        path = slide_path(self._storage, facts["slide_location"], self._copies)
        files = slide_files(path)
        states = tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
        identity = (facts["slide_sha256"], package.sha256, facts["fingerprint"], path, states)
        if self._open is not None and self._open.identity == identity:
            return self._open
        self._close()
        # What lies in storage never changes; a linked file is somebody else's.
        linked = facts["slide_location"].startswith(LINKED)
        if linked and slide_sha256(files) != facts["slide_sha256"]:
            raise DamagedSlideError(path, "is another file than the one that was checked")
        with Prober(self._limits) as prober:
            checked = check_slide(path, package, analysis, prober=prober)
        assert checked.chosen is not None  # there is a model
        reader, grid, recolour = checked.reader, checked.chosen[1], Recolouring(None)
        if package.description.preprocessing.stain is not None:
            plan = plan_tiles(reader, grid, analysis)
            stain = fit_slide_stain(reader, plan, package)
            assert stain is not None  # the package has slides normalised
            recolour = stain.recolouring()
        self._open = _Open(identity, reader, grid, recolour)
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.reader.close()
            self._open = None
