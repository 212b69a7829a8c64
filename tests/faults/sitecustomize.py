"""Deaths at named points, for tests: every Python with this folder on its path loads it.

``DBRAY_DEATHS`` names a folder. A process that writes a file whose path has the name of one of that
folder's files in it (with ``-`` for ``/``) takes that file away and dies when half of its own is
written; of a file that grows piece by piece, when all of it is there but for its name.
"""

import contextlib
import importlib.abc
import importlib.util
import os
import signal
import sys
from pathlib import Path


class _Deadly(importlib.abc.MetaPathFinder):
    """Puts the deaths into the store when it is imported."""

    def find_spec(self, fullname, path, target=None):
        if fullname != "dbray.store.folder":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        load = spec.loader.exec_module

        def load_deadly(module):
            load(module)
            _make_deadly(module.Folder)

        spec.loader.exec_module = load_deadly
        return spec


def _make_deadly(folder):
    write, new_file = folder._write_stream, folder.new_file

    def write_or_die(self, full_path, data):
        if not _death_of(full_path):
            write(self, full_path, data)
            return
        with self.filesystem.open_output_stream(full_path) as stream:
            stream.write(data[: len(data) // 2])
            stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.contextmanager
    def new_file_or_die(self, path):
        with new_file(self, path) as sink:
            yield sink
            if _death_of(path):
                sink.flush()
                os.kill(os.getpid(), signal.SIGKILL)

    folder._write_stream, folder.new_file = write_or_die, new_file_or_die


def _death_of(path):
    for death in Path(os.environ["DBRAY_DEATHS"]).iterdir():
        if death.name.replace("-", "/") in path:
            try:
                death.unlink()  # one process only takes it
            except FileNotFoundError:
                continue
            return True
    return False


if "DBRAY_DEATHS" in os.environ:
    sys.meta_path.insert(0, _Deadly())
