"""torchvision without torch's compiler, which it loads and dbray does not use."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

UTILITIES = "torch._dynamo.utils"


@contextlib.contextmanager
def compiler_when_called() -> Iterator[None]:
    """Let torchvision be imported in the block without the compiler.

    ``torchvision.ops`` takes one function of it as it is loaded, which it calls for regions of
    interest: half of the time that torchvision takes to load, in every process that builds a
    model. Its call, and whatever else a module takes of the compiler, loads it as ever.
    """
    if UTILITIES in sys.modules:
        yield
        return
    sys.modules[UTILITIES] = stand_in = _Utilities(UTILITIES)
    try:
        yield
    finally:
        if sys.modules.get(UTILITIES) is stand_in:
            del sys.modules[UTILITIES]


class _Utilities(ModuleType):
    """Stands for the compiler's utilities while torchvision is loaded."""

    @staticmethod
    def is_compile_supported(device: str) -> object:
        """What the function of that name says; torchvision takes it and calls it later."""
        return importlib.import_module(UTILITIES).is_compile_supported(device)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what the import system asks of every module
            raise AttributeError(name)
        if sys.modules.get(UTILITIES) is self:
            del sys.modules[UTILITIES]
        return getattr(importlib.import_module(UTILITIES), name)
