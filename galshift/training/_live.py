"""The line beside the progress bar: losses of the epoch so far, and the scores of the last one."""

from __future__ import annotations

from galshift.training._record import Record
from galshift.training.plan import Plan

_SHOWN = 4  # losses at most: a terminal is narrow


def live_line(record: Record, plan: Plan) -> str:
    """Return what to show now, such as ``epoch 3/30 adapt: classification 0.41, mmd 0.02; score ...``.

    The losses are means over the steps of this epoch so far; the rest is the last epoch's.
    """
    parts = []
    steps = record.step - record.epoch * plan.steps_per_epoch
    names = [name for name in record.sums if name not in ("loss", "gradient_norm")][:_SHOWN]
    if steps > 0 and names:
        parts.append(", ".join(f"{name} {float(record.sums[name]) / steps:.3g}" for name in names))
    if record.history:
        parts.append(_scored(record, plan.config.select))
    phase = plan.phase(min(record.step, plan.total_steps - 1))
    epoch = min(record.epoch + 1, plan.config.epochs)
    return f"epoch {epoch}/{plan.config.epochs} {phase}: " + "; ".join(parts)


def _scored(record: Record, select: str) -> str:
    """The last epoch's source accuracy and score, and the best epoch."""
    row, words = record.history[-1], []
    if "valid_accuracy" in row:
        words.append(f"source accuracy {row['valid_accuracy']:.3f}")
    if select == "source-loss" and "valid_loss" in row:
        words.append(f"source loss {row['valid_loss']:.3g}")
    elif select not in ("last", "source-accuracy"):
        words.append(f"{select} {row['score']:.3g}")
    return ", ".join([*words, f"best epoch {record.best_epoch or '-'}"])
