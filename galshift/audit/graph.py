"""Read a network's own layers: which of them look at a neighbourhood only, and what follows them.

A network is traced once.  Its *trunk* is every layer whose output pixel depends on a small window of its
input (convolution, pooling) or on one position only (batch norm in evaluation, activations, sums of such
maps, channels split into fields or joined again); its *head* is the rest, run on whole maps.  A convolution
that most of its map would have to be recomputed for belongs to the head too.  Nothing here knows one
architecture from another.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import fx, nn

from galshift.audit.dense import Dense, dense_readers
from galshift.audit.layers import PLAIN, Local, Pointwise, View, image_arguments, operation_of
from galshift.audit.tracer import EXAMPLE, record

# Share of a map beyond which a convolution is run whole: gathering windows then costs more than it saves.
WORTHWHILE = 0.6


@dataclass
class Layer:
    """One layer of the trunk: its name, operation and the names of the layers that feed it."""

    name: str
    operation: Local | Pointwise
    inputs: tuple[str, ...]
    view: View = PLAIN
    users: int = 0


@dataclass(frozen=True)
class Network:
    """A traced network.

    Attributes
    ----------
    source : str
        Name of the input image in `layers`.
    layers : tuple of Layer
        The trunk in the order of computation.
    frontier : tuple of str
        The trunk maps that the head reads whole, its first arguments.
    dense : tuple of Dense
        Linear layers of trunk maps; their answers (B, D) are the head's other arguments.
    head : nn.Module
        From those to the model's own output.
    head_floats : int
        Numbers that one image's frontier maps hold, and those that dense layers read.
    """

    source: str
    layers: tuple[Layer, ...]
    frontier: tuple[str, ...]
    dense: tuple[Dense, ...]
    head: nn.Module
    head_floats: int


def trace(model: nn.Module, shape: tuple[int, int, int], patch: int = 1) -> Network | None:
    """Return the layers of `model` (in evaluation mode), or None where its code cannot be read this way.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W) of the images.
    patch : int
        Side of the square that a query changes.

    Notes
    -----
    None means only that every query needs the whole network: code that branches on values, no local layer.
    """
    traced = record(model, shape)
    if traced is None:
        return None
    nodes = list(traced.graph.nodes)
    sources = [node for node in nodes if node.op == "placeholder"]
    if len(sources) != 1:
        return None
    trunk, extent = _trunk(traced, nodes, sources[0], patch)
    depends = _dependents(nodes, sources[0])
    frontier = [n for n in (sources[0], *trunk) if any(u in depends and u not in trunk for u in n.users)]
    if sources[0] in frontier or not any(isinstance(layer.operation, Local) for layer in trunk.values()):
        return None
    for node, layer in trunk.items():
        layer.users = len(node.users)
    dense = _dense(traced, trunk, extent, frontier)
    read = {one.source for one in dense.values()}
    whole = [node for node in frontier if node.name not in read]
    return Network(
        sources[0].name,
        tuple(trunk.values()),
        tuple(node.name for node in whole),
        tuple(dense.values()),
        _head(traced, trunk, sources[0], whole, list(dense)),
        sum(node.meta[EXAMPLE][0].numel() for node in frontier),
    )


def _trunk(
    traced: fx.GraphModule, nodes: list[fx.Node], source: fx.Node, patch: int
) -> tuple[dict[fx.Node, Layer], dict[fx.Node, int]]:
    """Return the layers that are worth recomputing by windows, and the side of each window."""
    depends = _dependents(nodes, source)
    modules = dict(traced.named_modules())
    trunk: dict[fx.Node, Layer] = {}
    extent = {source: patch}
    for node in nodes:
        if node not in depends or node is source:
            continue
        inputs = image_arguments(node, depends)
        if not inputs or not all(arg is source or arg in trunk for arg in inputs):
            continue
        views = {PLAIN if arg is source else trunk[arg].view for arg in inputs}
        found = operation_of(node, modules, views.pop(), depends) if len(views) == 1 else None
        if found is None:
            continue
        operation, view = found
        extent[node] = _extent(operation, max(extent[arg] for arg in inputs))
        if isinstance(operation, Local) and not operation.pool and _share(node, extent[node]) > WORTHWHILE:
            continue
        trunk[node] = Layer(node.name, operation, tuple(arg.name for arg in inputs), view)
    used = {node: layer for node, layer in trunk.items() if any(user in depends for user in node.users)}
    return used, extent


def _dense(
    traced: fx.GraphModule,
    trunk: dict[fx.Node, Layer],
    extent: dict[fx.Node, int],
    frontier: list[fx.Node],
) -> dict[fx.Node, Dense]:
    """Return the linear layers worth asking by windows: on a CPU, for a GPU waits for small products."""
    modules = dict(traced.named_modules())
    found = {}
    for node in frontier:
        on_cpu = node.meta[EXAMPLE].device.type == "cpu"
        if on_cpu and trunk[node].view == PLAIN and _share(node, extent[node]) <= WORTHWHILE:
            for reader in dense_readers(node, modules):
                found[reader] = Dense(reader.name, node.name, modules[reader.target])
    return found


def _extent(operation: Local | Pointwise, size: int) -> int:
    """Return the side of the window that a change of a window of side `size` reaches."""
    if isinstance(operation, Pointwise):
        return size
    return max((size + k - 2) // s + 1 for k, s in zip(operation.kernel, operation.stride))


def _share(node: fx.Node, extent: int) -> float:
    """Return the share of the map of `node` that a window of side `extent` covers."""
    height, width = node.meta[EXAMPLE].shape[-2:]
    return min(extent, height) * min(extent, width) / (height * width)


def _dependents(nodes: list[fx.Node], source: fx.Node) -> set[fx.Node]:
    """Return the nodes whose value depends on the image."""
    found = {source}
    for node in nodes:
        if any(arg in found for arg in node.all_input_nodes):
            found.add(node)
    return found


def _head(
    traced: fx.GraphModule, trunk: dict, source: fx.Node, frontier: list[fx.Node], dense: list[fx.Node]
) -> nn.Module:
    """Return the rest of the network as a module of the frontier's maps and the dense layers' answers."""
    graph = fx.Graph()
    copies = {node: graph.placeholder(node.name) for node in (*frontier, *dense)}
    flat = {arg for node in dense for arg in node.all_input_nodes}
    for node in frontier:
        view = trunk[node].view
        if view.fields:
            copies[node] = graph.call_method("unflatten", (copies[node], 1, view.fields))
        if view.stacked:
            copies[node] = graph.call_method("flatten", (copies[node], 2, 3))
    for node in traced.graph.nodes:
        if node is source or node in trunk or node in flat or node in dense:
            continue
        copies[node] = graph.node_copy(node, lambda argument: copies[argument])
    head = fx.GraphModule(traced, graph)
    graph.eliminate_dead_code()
    for node in graph.nodes:
        if node.op == "call_module" and type(head.get_submodule(node.target)) is nn.Conv2d:
            name = f"{node.name}_channels_last"
            head.add_module(name, _channels_last(head.get_submodule(node.target)))
            node.target = name
    head.recompile()
    return head


def _channels_last(convolution: nn.Conv2d) -> nn.Conv2d:
    """Return a copy whose weights lie as the trunk's maps do: on a CPU each call would reorder them."""
    on_cpu = convolution.weight.device.type == "cpu"
    found = copy.deepcopy(convolution)
    return found.to(memory_format=torch.channels_last) if on_cpu else found
