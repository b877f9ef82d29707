"""What the training loop asks of a method.

The loop calls, in this order::

    nets = method.build(feature_dim, n_classes, n_target, label_kind=..., supervised=...)
                                                              # optimised and checkpointed beside the model
    model = method.prepare(model)
    optimise(method.trainable(model), nets.parameters())
    each step:
        method.select_domain(model, "source"); ...forward...  # apart when method.own_forward
        method.select_domain(model, "target"); ...forward...
        terms = {"classification": supervised, **method.terms(source, target, progress)}
        total = method.combine(terms, progress); total.backward()
        log(terms, method.observed)                           # losses, and what else tells how it goes
    method.finish(model, target_images)

A method overrides ``modules``, ``losses`` and, rarely, the others; what every method shares (float32 outside
autocast, helper terms, domain batch norm, weighting) lives here once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from galshift.methods._domain_batchnorm import collapse, set_domain, split_batchnorm
from galshift.methods._helpers import FisherCentres
from galshift.methods._probabilities import mean_entropy
from galshift.methods.weighting import WEIGHTINGS
from galshift.types import Batch, Grown, Output, Strict


class MethodConfig(Grown):
    """What every method can be told besides its own options.

    A method with a `newer` of its own takes this one's into it.

    Attributes
    ----------
    weighting : str
        How the supervised loss and the adaptation terms are weighed: a name of ``galshift list weightings``.
    fisher : float
        Weight of the Fisher trace-ratio term, which draws source features to learned class centres.
    fisher_start : str
        Where those centres begin: ``means``, of the classes in the first batch, or ``random``, at standard
        normal numbers, as DeepMerge II has them.
    entropy : float
        Weight of target entropy minimisation; alone it collapses to one class, so keep it small.
    domain_batchnorm : bool
        Give source and target their own batch-norm statistics; the target's count at the end.
    """

    newer: ClassVar[Mapping[str, Any]] = {"fisher_start": "means"}

    weighting: str = "fixed"
    fisher: float = Field(0.0, ge=0)
    fisher_start: Literal["means", "random"] = "means"
    entropy: float = Field(0.0, ge=0)
    domain_batchnorm: bool = False


class Method:
    """One way to align two domains; subclass it once, override what the method needs.

    Class attributes
    ----------------
    version : int
        Raised when the method's numbers change.
    reference : str
        Paper, and equation where one matters.
    views : int
        Strongly augmented views of each target image that the method needs; the batch is the weak view.
    other_size : float
        Share of its encoder's input size at which the method wants the features of all target images too,
        as `resized`; 0: it does not.  It must do without where they cannot be had.
    needs_source, uses_target : bool
        False for source-free methods, and for methods that never see the target.
    own_forward : bool
        True when source and target must pass through the model apart (domain batch statistics);
        otherwise the loop may pass them as one batch.
    aligns : bool
        True when the method pulls the two marginal distributions of features or predictions together, which
        forces the source's class mix on the target, or asks for an even one: the report then warns by the
        label-shift estimate.

    needs_classes : bool
        True when the method reads the network's outputs as class scores; False when it works for continuous
        labels too.
    scoring : tuple of str
        Names in ``nets`` of what `unknown_score` needs, which is stored beside the checkpoint; the last
        epoch, to which these networks belong, is then taken by default.  Empty for methods that are not
        universal.
    matched : bool
        True when the known classes must look alike in both domains, so that noise is matched first.

    lr_scale : float
        Factor on the learning rate; below 1 where a trained network is to be changed a little.
    replaces_statistics : bool
        True when `finish` does nothing but put the target's batch-norm statistics in the source's place.
    by_domain : bool
        True when `prepare` gives the model layers that treat the domains apart (`select_domain`).
    fixed_features : bool
        True when the encoder must rest (``tune: head``), for the method measures its features but once.
    from_trained : bool
        True when the method starts from the trained source-only network, with source images but without
        their labels.
    aim : str
        What a step that sees the target is for, in the word that the rows of a training say.

    Parameters
    ----------
    config : MethodConfig
        The method's own frozen configuration.

    Attributes
    ----------
    nets : nn.ModuleDict
        What `build` made.
    label_kind : str
        What the labels are: ``class``, ``votes`` (whose outputs a method may read as class scores) or
        ``value`` (the first half of the outputs are standardised means; ``labels`` (B, L) are standardised).
    supervised : str
        Name of the supervised loss among the terms.
    resized : Tensor or None
        (M, D) features of the target's training images at `other_size`, unaugmented, in the order of its
        index, on the model's device; set before `start`.
    observed : dict of str to Tensor
        Scalars of the last step that are no losses: a discriminator's accuracy (0.5 at chance), the reversal,
        learned weights, the share of images that count.
    """

    Config: ClassVar[type[Strict]] = MethodConfig
    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""
    views: ClassVar[int] = 0
    other_size: float = 0.0
    needs_source: ClassVar[bool] = True
    uses_target: ClassVar[bool] = True
    own_forward: bool = False
    aligns: ClassVar[bool] = False
    needs_classes: ClassVar[bool] = True
    scoring: ClassVar[tuple[str, ...]] = ()
    matched: ClassVar[bool] = False
    lr_scale: ClassVar[float] = 1.0
    replaces_statistics: ClassVar[bool] = False
    by_domain: ClassVar[bool] = False
    fixed_features: ClassVar[bool] = False
    from_trained: ClassVar[bool] = False
    aim: ClassVar[str] = "adapt"

    def __init__(self, config: Strict | None = None) -> None:
        self.config = self.Config() if config is None else config
        self.shared = self.config if isinstance(self.config, MethodConfig) else MethodConfig()
        self.nets = nn.ModuleDict()
        self.resized: Tensor | None = None
        self.observed: dict[str, Tensor] = {}
        self.label_kind, self.supervised = "class", "classification"
        self._features: list[Tensor] = []
        if self.shared.domain_batchnorm:
            self.own_forward = True

    # ---- what a method overrides -----------------------------------------------------------------------

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the method's own networks, centres or banks; they are held in ``self.nets``.

        Parameters
        ----------
        feature_dim, n_classes : int
            D and K of the model's output.
        n_target : int
            Number of target training images (memory banks).
        """
        return nn.ModuleDict()

    def prepare(self, model: nn.Module) -> nn.Module:
        """Return the model to train, changed where the method must; default: domain batch norm if asked."""
        return split_batchnorm(model) if self.shared.domain_batchnorm else model

    def start(self, model: nn.Module, source: Iterable[Tensor], target: Iterable[Tensor]) -> None:
        """Change the prepared model once before the first step, in place, by what all images show.

        Parameters
        ----------
        model : nn.Module
            The model that `prepare` returned.
        source, target : iterable of Tensor
            Batches of preprocessed, unaugmented training images; empty without such a domain.
        """

    def trainable(self, model: nn.Module) -> Iterable[nn.Parameter]:
        """Return the model parameters that the method trains; default: all."""
        return model.parameters()

    def losses(self, source: Batch | None, target: Batch | None, progress: float) -> dict[str, Tensor]:
        """Return the method's named terms of one step, each a scalar, already multiplied by its weight.

        Parameters
        ----------
        source, target : Batch
            Forwarded batches in float32 or better; sizes may differ; ``target.labels`` is None.
            ``source`` is None for source-free methods.
        progress : float
            Fraction of the adaptation steps done, in [0, 1].
        """
        return {}

    def finish(self, model: nn.Module, target_images: Iterable[Tensor]) -> None:
        """Change the model once after training, in place; default: keep the target's batch norm.

        Parameters
        ----------
        model : nn.Module
            The model that `prepare` returned, with its best weights.
        target_images : iterable of Tensor
            Batches (B, C, H, W) of preprocessed, unaugmented target training images.
        """
        if self.shared.domain_batchnorm:
            collapse(model, "target")

    def unknown_score(self, output: Output) -> Tensor | None:
        """Return (B,) scores in [0, 1], high for classes unknown to the source; None: not universal."""
        return None

    def class_based(self) -> list[str]:
        """Return what of the method, as configured, reads outputs or labels as classes; empty: nothing."""
        helpers = [name for name in ("fisher", "entropy") if getattr(self.shared, name) > 0]
        return ["its loss", *helpers] if self.needs_classes else helpers

    # ---- what the loop calls; not overridden -----------------------------------------------------------

    def build(
        self,
        feature_dim: int,
        n_classes: int,
        n_target: int,
        *,
        label_kind: str = "class",
        supervised: str = "classification",
    ) -> nn.ModuleDict:
        """Learn what is trained; make, hold in ``self.nets`` and return all that the method itself learns.

        Parameters
        ----------
        feature_dim, n_classes, n_target : int
            As for `modules`.
        label_kind, supervised : str
            The attributes of those names.
        """
        self.label_kind, self.supervised = label_kind, supervised
        nets = self.modules(feature_dim, n_classes, n_target)
        nets["weighting"] = WEIGHTINGS.get(self.shared.weighting)()
        if self.shared.fisher > 0:
            nets["fisher"] = FisherCentres(n_classes, feature_dim, self.shared.fisher_start)
        self.nets = nets
        return nets

    def apart(self) -> Method:
        """Return this method with copies of its own networks, on the CPU and in evaluation mode.

        What the copy is shown, and what it observes, leaves the method itself as it is.
        """
        other = copy.copy(self)
        other.nets, other.observed, other._features = copy.deepcopy(self.nets).cpu().eval(), {}, []
        return other

    def see_resized(self, features: Tensor | None) -> None:
        """Take (M, D) features of the target's training images at `other_size`, or None, before `start`."""
        self.resized = features

    def select_domain(self, model: nn.Module, domain: Literal["source", "target"]) -> None:
        """Tell domain-specific layers whose images come next; nothing happens without such layers."""
        if self.shared.domain_batchnorm or self.by_domain:
            set_domain(model, domain)

    def terms(self, source: Batch | None, target: Batch | None, progress: float) -> dict[str, Tensor]:
        """Return the method's terms and the helper terms, computed in float32 outside autocast.

        Parameters
        ----------
        source, target, progress
            As for `losses`.
        """
        source, target = _full_precision(source), _full_precision(target)
        batches = [batch for batch in (source, target) if batch is not None]
        self._features = [batch.features for batch in batches]
        self.observed = {}
        device = self._features[0].device.type if batches else "cpu"
        with torch.autocast(device, enabled=False):
            terms = dict(self.losses(source, target, progress))
            if "fisher" in self.nets and source is not None and source.labels is not None:
                terms["fisher"] = self.shared.fisher * self.nets["fisher"](source.features, source.labels)
            if self.shared.entropy > 0 and target is not None:
                terms["entropy"] = self.shared.entropy * mean_entropy(target.logits)
        return terms

    def combine(self, terms: dict[str, Tensor], progress: float) -> Tensor:
        """Return the one scalar to differentiate.

        Parameters
        ----------
        terms : dict of str to Tensor
            The supervised loss first, called ``self.supervised``, then what `terms` returned.  A source-free
            method has no supervised loss, and the dict holds only its own terms.
        progress : float
            Fraction of the adaptation steps done, in [0, 1].
        """
        supervised = terms.get(self.supervised)
        adaptation = [value for name, value in terms.items() if name != self.supervised]
        if supervised is None or not adaptation or "weighting" not in self.nets:
            return torch.stack([value.float() for value in terms.values()]).sum()
        weighting = self.nets["weighting"]
        if self.shared.weighting != "fixed":
            names = (f"weight_{self.supervised}", "weight_adaptation")
            self.observed |= dict(zip(names, weighting.weights(progress).detach(), strict=True))
        total = torch.stack(adaptation).sum()
        return weighting.combine(supervised.float(), total, self._features, progress)


def _full_precision(batch: Batch | None) -> Batch | None:
    """Return the batch with features and logits in at least float32."""
    if batch is None:
        return None
    outputs = [_full_output(output) for output in (batch.output, *batch.views)]
    return replace(batch, output=outputs[0], views=tuple(outputs[1:]))


def _full_output(output: Output) -> Output:
    return Output(*(x if x.dtype == torch.float64 else x.float() for x in output))
