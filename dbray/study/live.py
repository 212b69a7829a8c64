"""A page that is written again and again while a block runs."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from dbray.errors import StorageError, UserError
from dbray.report import EVERY, LIVE, write_live
from dbray.store import Study


@contextlib.contextmanager
def live_page(
    study: Study, asked: Mapping[str, str], say: Callable[[str], None], *, every: float = EVERY
) -> Iterator[None]:
    """Write the live page at once and every so many seconds; delete it when the block ends.

    What cannot be read or written now may be able to be next time, and ends nothing.
    """
    ended = threading.Event()
    begun = time.time()

    def keep_writing() -> None:
        while True:
            with contextlib.suppress(StorageError, UserError, OSError):
                study.refresh_index()  # so that each page reads only the trials that are new
                write_live(study, asked, begun)
            if ended.wait(every):
                return

    writer = threading.Thread(target=keep_writing, name="live page", daemon=True)
    say(f"live: {study.location}/{LIVE}")
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
        study.folder.delete(LIVE)
