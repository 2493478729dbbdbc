"""Ready slides looked up a moment ago: a viewer asks for many tiles of one slide at once."""

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from api.problems import CONFLICT, ApiError
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.slides import Slide, SlideState, SlideStore

#: What is known of a ready slide never changes, but that it may be deleted: in another process,
#: this long ago at most. In this one :meth:`ReadySlides.forget` tells.
_SECONDS = 2.0
_MOST = 1000


class ReadySlides:
    """Looks slides up, once every few seconds. For one event loop, which it never blocks.

    Args:
        store: What is known of slides.
        clock: Seconds that only grow.
    """

    def __init__(self, store: SlideStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[Slide, float]] = OrderedDict()

    async def get(self, access: Access, slide_id: str) -> Slide:
        """A slide of the caller's workspace that can be shown.

        Raises:
            NotThereError: there is none.
            ApiError: it is not ready.
        """
        key = access.workspace_id, slide_id
        known = self._known.get(key)
        if known is not None and self._clock() < known[1]:
            return known[0]
        slide = await run_in_threadpool(ready_slide, self._store, access, slide_id)
        self._known[key] = slide, self._clock() + _SECONDS
        self._known.move_to_end(key)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return slide

    def forget(self, slide: Slide) -> None:
        """A slide was deleted."""
        self._known.pop((slide.workspace_id, slide.id), None)


def ready_slide(store: SlideStore, access: Access, slide_id: str) -> Slide:
    """A slide of the caller's workspace that can be shown, as the database has it now.

    Raises:
        NotThereError: there is none.
        ApiError: it is not ready.
    """
    slide = store.get(access, slide_id)
    if slide.state is not SlideState.READY:
        raise ApiError(CONFLICT, f"slide {slide_id} is {slide.state}; it has no pictures")
    return slide
