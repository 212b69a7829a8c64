"""torch's compiler, which takes seconds to load, is loaded for those who use it."""

import subprocess
import sys

LOOKED_AT = """
import sys
from dbray.architectures import build_model
for name in ("densenet", "resnet", "vgg", "torchvision:resnet18"):
    build_model(name, input_shape=(3, 32, 32), classes=10, seed=0)
print([name for name in sys.modules if name.startswith("torch._dynamo")])
from torchvision.ops import roi_align
import torch
print(sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu"))
from torch._dynamo.utils import is_compile_supported
print(is_compile_supported("cpu"))
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item())
"""


def test_models_of_torchvision_are_built_without_it_and_it_works_when_it_is_called():
    ended = subprocess.run(
        [sys.executable, "-c", LOOKED_AT], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    before, asked, told, compiled = ended.stdout.splitlines()
    assert before == "[]"
    assert asked == told
    assert compiled == "2.0"
