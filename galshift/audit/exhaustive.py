"""Complete search: every pixel, every variant of the fault; a failure is a certificate for that grid.

For one pixel the search tries everything, so "not found" means that there is none.  For k > 1 pixels it
goes greedily, taking the strongest pixel of each complete pass: a success is a real counter-example, a
failure proves nothing.  The same idea on 28-pixel grey digits: AESOP, Applied Sciences 2023, 13, 5092.
"""

from __future__ import annotations

import torch
from torch import Tensor

from galshift.audit._problem import Found, Hit, Problem
from galshift.audit.prober import Places, paste


def search(problem: Problem) -> Found:
    """Return the outcome of the complete search on one image."""
    injector, image = problem.injector, problem.linear
    state = _Pass(problem, injector.load(image))
    first_pass, hits, spent = state, [], 0
    while True:
        state.run()
        row, column, variant = state.strongest
        hits.append(Hit(row, column, variant))
        image, stretched = injector.apply(variant, row, column)
        if state.first is not None or len(hits) == problem.pixels:
            break
        spent += state.margins.numel()
        injector.continue_from(image, stretched)
        state = _Pass(problem, stretched)
    found = None if state.first is None else spent + state.first[0] + 1
    return Found(
        hits=tuple(hits),
        first=None if state.first is None else Hit(*state.first[1:]),
        stretched=stretched,
        linear=image,
        queries=spent + state.margins.numel(),
        queries_to_flip=found,
        complete=problem.pixels == 1,
        flip_share=first_pass.flip_share if problem.pixels == 1 else float("nan"),
        variant_flips=tuple(first_pass.flips.sum(dim=1).tolist()),
        vulnerability=first_pass.vulnerability,
        flips_local=first_pass.flips_local,
    )


class _Pass:
    """One pass over every pixel and variant of the image as it now is."""

    def __init__(self, problem: Problem, stretched: Tensor) -> None:
        self.problem, self.stretched = problem, stretched
        height, width = stretched.shape[1:]
        # Where the model is: what a GPU found is fetched once an image, not once a batch.
        grid = {"size": (len(problem.injector.variants), height * width), "device": stretched.device}
        self.margins = torch.empty(**grid)
        self.flips = torch.zeros(**grid, dtype=torch.bool)
        self.drop = torch.full((height * width,), -torch.inf, device=stretched.device)
        self.local = torch.zeros((), dtype=torch.bool, device=stretched.device)
        self.flips_local: bool | None = None
        self.width = width

    def run(self) -> None:
        """Ask about every pixel and variant, then fetch the answers."""
        self.ask()
        self.margins, self.flips, self.drop = self.margins.cpu(), self.flips.cpu(), self.drop.cpu()
        self.flips_local = bool(self.local) if self.problem.injector.rescales else None

    @torch.inference_mode()
    def ask(self) -> None:
        """Ask about every pixel and variant; nothing here waits for a GPU."""
        problem = self.problem
        problem.prober.load(self.stretched)
        clean = problem.prober.output(self.stretched[None]).logits.softmax(dim=1)[0, problem.goal.label]
        done = 0
        for places in problem.prober.everywhere():
            span = slice(done, done + len(places))
            for variant in range(len(problem.injector.variants)):
                logits = self._logits(variant, places)
                self.margins[variant, span] = problem.goal.margin(logits)
                self.flips[variant, span] = problem.goal.reached(logits)
                drop = clean - logits.softmax(dim=1)[:, problem.goal.label]
                self.drop[span] = torch.maximum(self.drop[span], drop)
            done = span.stop

    def _logits(self, variant: int, places: Places) -> Tensor:
        problem = self.problem
        if not problem.injector.rescales:
            return problem.prober.query(places, problem.injector.patches(variant, places)).logits
        images = problem.injector.images(variant, places)
        local = paste(self.stretched, places, problem.injector.patches(variant, places))
        self.local |= problem.goal.reached(problem.prober.output(local).logits).any()
        return problem.prober.output(images).logits

    @property
    def strongest(self) -> tuple[int, int, int]:
        """Row, column and variant of the smallest margin, a flip before any that is not."""
        margins = self.margins
        if bool(self.flips.any()):
            margins = torch.where(self.flips, margins, torch.inf)
        variant, pixel = divmod(int(margins.argmin()), margins.shape[1])
        return pixel // self.width, pixel % self.width, variant

    @property
    def first(self) -> tuple[int, int, int, int] | None:
        """Position (variant by variant, pixel by pixel), row, column and variant of the first flip."""
        if not bool(self.flips.any()):
            return None
        position = int(self.flips.flatten().to(torch.uint8).argmax())
        variant, pixel = divmod(position, self.flips.shape[1])
        return position, pixel // self.width, pixel % self.width, variant

    @property
    def flip_share(self) -> float:
        """Probability that an event of this fault at a uniformly random pixel fools the model."""
        weights = torch.tensor([v.weight for v in self.problem.injector.variants], dtype=torch.float64)
        return float((self.flips.double().mean(dim=1) * weights).sum())

    @property
    def vulnerability(self) -> Tensor:
        """(H, W) largest drop of the true class's probability."""
        return self.drop.view(-1, self.width)
