'''One file per verb: its configuration, how it is typed, and its work.

Adding one
----------
A verb is a config, a function, and what the command line cannot know of them::

    """Count the images of a data set."""

    from pydantic import Field

    from galshift.verbs import STEPS, Config, ReadOptions, Step


    class TallyConfig(Config):
        """What is counted."""

        data: str = Field(description="Images.")
        read: ReadOptions = ReadOptions()
        bright: float = Field(0.0, ge=0, description="Count images whose peak exceeds this.")
        seed: int = 42


    @STEPS.register("tally")
    class Tally(Step):
        """Count the images of a data set, and how many are bright.

        Writes report.html.
        """

        kind = "tally"
        version = 1
        Config = TallyConfig
        inputs = ("data", "read.labels?", "read.psf?", "read.weights?")
        positionals = ("data",)
        examples = ("galshift tally sdss/", "galshift tally sdss/ --bright 10")

        def run(self, config, run, context):
            """Count them in ``run.path`` and return the headline results, which are JSON-able."""
            from galshift.data.open import open_dataset
            from galshift.report import ReportData, build

            dataset = open_dataset(config.data, config.read)
            build(run.path / "report.html", ReportData(title=f"{len(dataset)} images", lede=()))
            return {"n": len(dataset), "outputs": {"report": "report.html"}}

        def describe(self, results):
            """Return lines for people."""
            return [f"{results['n']} images"]

Inside galshift it is the file ``galshift/verbs/tally.py``; in a package of its own it is named by an entry
point::

    [project.entry-points."galshift.verbs"]
    tally = "your_package.tally:Tally"

Either way there is ``galshift tally`` with its help, ``uses: tally`` in recipes and their schema, and the
function ``galshift.tally``; runs are named by a fingerprint of config, version and contents of the inputs,
are skipped when they are done, and are locked, resumed and reported like every other.  Import what is heavy
inside ``run``: the file is imported for help.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.verbs._base import Context, Step
    from galshift.verbs._choice import ChoiceOf
    from galshift.verbs._options import Config, Instead, ReadOptions, option, reading

STEPS = Registry("verb", "galshift.verbs")

__all__ = ["STEPS", "ChoiceOf", "Config", "Context", "Instead", "ReadOptions", "Step", "option", "reading"]
__getattr__ = lazily(
    __name__,
    {
        "galshift.verbs._base": ("Context", "Step"),
        "galshift.verbs._choice": ("ChoiceOf",),
        "galshift.verbs._options": ("Config", "Instead", "ReadOptions", "option", "reading"),
    },
)
