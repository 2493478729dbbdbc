"""Which slide is checked next, so that no upload delays another's: small ones first, in turns."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from wsi_pipeline.service.slides import Slide

#: What is hashed and stored in about a second. More is large, and never takes all places.
SMALL_BYTES = 256 * 2**20
#: How fast a check is to be, bytes per second: a slide is due so much later as it is larger. Small
#: ones so come first, and a large one that has waited for its time before small ones that came
#: later: none waits for ever.
_DUE_BYTES_PER_SECOND = 64 * 2**20

#: Whose a slide is: its workspace, and the key it came with.
Uploader = tuple[str, str | None]


def uploader_of(slide: Slide) -> Uploader:
    """Who takes turns with others."""
    return slide.workspace_id, slide.created_by


def is_large(slide: Slide) -> bool:
    """Whether its check takes long by its size alone."""
    return (slide.size_bytes or 0) > SMALL_BYTES


@dataclass(slots=True)
class CheckOrder:
    """Chooses slides for a number of places.

    Where there are more places than one, large slides leave one to small ones, and one uploader
    leaves one to others; where there are three or more, an uploader's large slides leave one to
    another's large one, too.

    Attributes:
        places: How many slides are checked at the same time.
    """

    places: int
    #: When each uploader's turn last came, counted.
    _served: dict[Uploader, int] = field(default_factory=dict)
    _turn: int = 0

    def choose(self, waiting: Iterable[Slide], running: Collection[Slide]) -> Slide | None:
        """The next slide; None if there is no place for any of those that wait.

        The uploader with the fewest running checks comes first, then the one served longest ago;
        of the uploader's slides the one that is due first.

        Args:
            waiting: Slides whose check has not begun.
            running: Slides that are being checked.
        """
        if len(running) >= self.places:
            return None
        all_but_one, own_large = max(1, self.places - 1), max(1, self.places - 2)
        busy = Counter(map(uploader_of, running))
        busy_large = Counter(map(uploader_of, filter(is_large, running)))
        allowed = [
            slide
            for slide in waiting
            if busy[uploader_of(slide)] < all_but_one
            and (
                not is_large(slide)
                or (busy_large.total() < all_but_one and busy_large[uploader_of(slide)] < own_large)
            )
        ]
        if not allowed:
            return None
        chosen = min(
            allowed,
            key=lambda slide: (
                busy[uploader_of(slide)],
                self._served.get(uploader_of(slide), 0),
                slide.created_at + (slide.size_bytes or 0) / _DUE_BYTES_PER_SECOND,
                slide.id,
            ),
        )
        self._turn += 1
        self._served[uploader_of(chosen)] = self._turn
        return chosen
