"""How a trained model is executed on planes: the same function, in less time.

The way is chosen by the model and the device alone, never by a stopwatch, so that label maps stay
bit-equal from run to run. On a CPU, for a model that torch.fx can trace:

- the first layer is affine, and so is a plane: what that layer answers at the plane's origin and
  along its two axes gives its answers at every point;
- batch norm that follows a convolution is folded into its weights;
- convolutions run channels-last, unless they are narrow. Inference only: training in that layout on
  a CPU corrupts memory (torch 2.14);
- a ReLU overwrites its input where nothing else reads it.

Labels may differ from the plain forward pass's where rounding decides. Other devices, and models
that do not trace or then answer otherwise, run as they are.
"""

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dbray.planes import Frame

WIDE = 1024  # numbers that the first convolution makes of an image: then channels-last is faster
TOLERANCE = 1e-3  # of the largest logit: rounding is a hundredth of it, another function is not
CHECKED = torch.linspace(-1, 1, 4)  # (alpha, beta) of the points that are compared

RELUS = (torch.relu, functional.relu, torch.relu_, functional.relu_)
FRESH = (operator.add, operator.iadd, torch.add)  # functions whose results no other tensor shares

Module = TypeVar("Module", bound=nn.Module)
Points = Callable[[Tensor], Tensor]  # coordinates (B, 2) to what ``Execution.rest`` takes


@dataclass(frozen=True)
class Execution:
    """A model in two parts: on the points of a plane, ``rest(at(frame)(coordinates))`` is logits.

    Attributes
    ----------
    first
        The first layer in float64, on inputs (B, channels, height, width); none if the rest is
        the whole model.
    channels_last
        Whether the rest takes images in that layout.
    rows
        Whether the rest takes a row of numbers for each point, and no image: then it is so quick
        that small batches cost more than they save.
    """

    rest: nn.Module
    first: nn.Sequential | None
    input_shape: tuple[int, ...]
    device: torch.device
    channels_last: bool = False
    rows: bool = False

    def at(self, frame: Frame) -> Points:
        """What makes the rest's inputs of the coordinates (alpha, beta) of points of a plane."""
        spanned = torch.as_tensor(np.stack([*frame.axes, frame.origin]))  # (3, D)
        shape = torch.Size(self.input_shape)
        if self.first is not None:
            nothing = torch.zeros_like(spanned[:1])
            answers = self.first(torch.cat([spanned, nothing]).view(-1, *shape))  # (4, ...)
            answers[:2] -= answers[3]
            shape, spanned = answers.shape[1:], answers[:3]
        last = self.channels_last and len(shape) == 3
        if last:
            spanned = spanned.reshape(3, *shape).permute(0, 2, 3, 1)
            shape = spanned.shape[1:]
        spanned = spanned.reshape(3, -1).to(self.device, torch.float32)
        axes, origin = spanned[:2], spanned[2]

        def inputs(coordinates: Tensor) -> Tensor:
            points = torch.addmm(origin, coordinates, axes).view(-1, *shape)
            return points.permute(0, 3, 1, 2) if last else points

        return inputs


@torch.inference_mode()
def execution_of(
    model: nn.Module, input_shape: tuple[int, ...], device: torch.device, frame: Frame
) -> Execution:
    """The way to execute a model on planes. The model itself is not changed.

    Parameters
    ----------
    model
        In evaluation mode, on ``device``; maps (B, channels, height, width) to logits (B, C).
    frame
        A plane on whose points the faster way is compared with the plain one.
    """
    plain = Execution(model, None, input_shape, device)
    if device.type != "cpu":
        return plain
    try:
        faster = _faster(model, input_shape, device)
        expected, found = (_logits(each, frame) for each in (plain, faster))
    except Exception:
        return plain
    furthest = (found - expected).abs().max()
    return faster if furthest <= TOLERANCE * expected.abs().max() else plain


def _logits(execution: Execution, frame: Frame) -> Tensor:
    coordinates = torch.cartesian_prod(CHECKED, CHECKED) * float(np.abs(frame.anchors).max())
    return torch.as_tensor(execution.rest(execution.at(frame)(coordinates)))


def _faster(model: nn.Module, input_shape: tuple[int, ...], device: torch.device) -> Execution:
    whole = _Whole(copy.deepcopy(model))  # a model may keep what it is given
    traced = fx.GraphModule(whole, fx.Tracer().trace(whole))
    _fix_shape(traced.graph, input_shape)
    _fold(traced)
    _overwrite(traced)
    first = _split(traced)
    channels_last = first is not None and _lay_channels_last(traced, first, input_shape)
    rows = first is not None and isinstance(first[0], nn.Flatten)
    traced.graph.lint()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return Execution(traced, first, input_shape, device, channels_last, rows)


class _Whole(nn.Module):
    """A model of one argument: others have their defaults when it is traced."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.model(inputs)
        return logits


def _fix_shape(graph: fx.Graph, input_shape: tuple[int, ...]) -> None:
    """Put in the inputs' height and width, and what is asserted of them, as they are known."""
    inputs = _inputs(graph)
    known = {0: None} | dict(enumerate(input_shape, start=1))
    for shape in [n for n in inputs.users if n.target is getattr and n.args[1] == "shape"]:
        for length in list(shape.users):
            place = length.args[1] if length.target is operator.getitem else None
            if isinstance(place, int) and known.get(place):
                _put(length, known[place])
    for node in graph.nodes:
        if node.target is operator.eq and not node.all_input_nodes:
            _put(node, operator.eq(*node.args))
    for node in graph.nodes:
        if node.target is torch._assert and node.args[0] is True:
            graph.erase_node(node)
    graph.eliminate_dead_code()


def _put(node: fx.Node, value: object) -> None:
    """Give a node's users a constant in its place."""
    for user in list(node.users):
        user.args = fx.node.map_arg(user.args, lambda each: value if each is node else each)


def _fold(traced: fx.GraphModule) -> None:
    """Fold batch norm into the convolution before it, if nothing else reads that one."""
    for node in list(traced.graph.nodes):
        norm, before = _module(traced, node, nn.BatchNorm2d), _before(node)
        conv = _module(traced, before, nn.Conv2d)
        if norm is None or conv is None or len(before.users) > 1:
            continue
        if norm.training or norm.running_mean is None:
            continue
        name = f"folded_{node.name}"
        traced.add_submodule(name, fuse_conv_bn_eval(conv, norm))
        before.target = name
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)


def _overwrite(traced: fx.GraphModule) -> None:
    """Let ReLU work in place on results that nothing else reads or shares memory with."""
    for node in list(traced.graph.nodes):
        is_relu = node.target in RELUS or _module(traced, node, nn.ReLU)
        before = _before(node)
        if is_relu and len(before.users) == 1 and _is_fresh(traced, before):
            node.op, node.target, node.args, node.kwargs = (
                "call_function",
                torch.relu_,
                (before,),
                {},
            )


def _is_fresh(traced: fx.GraphModule, node: fx.Node) -> bool:
    makers = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    return node.target in FRESH or any(_module(traced, node, kind) for kind in makers)


def _split(traced: fx.GraphModule) -> nn.Sequential | None:
    """Take the first layer out of the graph, whose input becomes what that layer answers."""
    inputs = _inputs(traced.graph)
    way = [inputs]  # to the first layer
    while len(way[-1].users) == 1:
        (node,) = way[-1].users
        way.append(node)
        if not _is_flatten(traced, node):
            break
    layer = _module(traced, way[-1], nn.Conv2d) or _module(traced, way[-1], nn.Linear)
    if layer is None:
        return None
    way[-1].replace_all_uses_with(inputs)
    for node in reversed(way[1:]):
        traced.graph.erase_node(node)
    flatten = [nn.Flatten()] if len(way) > 2 else []
    return nn.Sequential(*flatten, copy.deepcopy(layer).double())


def _is_flatten(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether it makes a row of each image."""
    module = _module(traced, node, nn.Flatten)
    if module:
        return bool((module.start_dim, module.end_dim) == (1, -1))
    return node.target in (torch.flatten, "flatten") and node.args[1:] == (1,) and not node.kwargs


def _lay_channels_last(
    traced: fx.GraphModule, first: nn.Sequential, input_shape: tuple[int, ...]
) -> bool:
    """Give convolutions weights in that layout, in which activations then follow."""
    answer = first(torch.zeros(1, *input_shape, dtype=torch.float64))
    if not isinstance(first[-1], nn.Conv2d) or answer.numel() < WIDE:
        return False
    for node in traced.graph.nodes:
        conv = _module(traced, node, nn.Conv2d)
        if conv:
            conv.to(memory_format=torch.channels_last)
    return True


def _inputs(graph: fx.Graph) -> fx.Node:
    return next(node for node in graph.nodes if node.op == "placeholder")


def _before(node: fx.Node) -> fx.Node:
    """What a node of one input is made from; of another, itself."""
    return node.all_input_nodes[0] if len(node.all_input_nodes) == 1 else node


def _module(traced: fx.GraphModule, node: fx.Node, kind: type[Module]) -> Module | None:
    """The module that a node calls with one argument, if it is of exactly this kind."""
    if node.op != "call_module" or len(node.all_input_nodes) != 1:
        return None
    module = traced.get_submodule(str(node.target))
    return module if type(module) is kind else None
