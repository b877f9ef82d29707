"""Each kind of labels by the name that a network's head and ``metrics.json`` have for it."""

from __future__ import annotations

from galshift.verbs.evaluate.classes import ClassTask
from galshift.verbs.evaluate.result import Task
from galshift.verbs.evaluate.values import ValueTask
from galshift.verbs.evaluate.votes import VoteTask

TASKS: dict[str, Task] = {"class": ClassTask(), "value": ValueTask(), "votes": VoteTask()}
