"""A package of other people's: one of everything that can be added, built as a wheel and installed by pip."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

MODULES = {
    "toys/__init__.py": "",
    "toys/pull.py": '''
"""Pull the mean features of both domains together."""

from pydantic import Field

from galshift.methods import METHODS, Method, MethodConfig


class Config(MethodConfig):
    """Options of `toy-pull`."""

    strength: float = Field(0.25, ge=0, description="Of the term.")


@METHODS.register("toy-pull")
class ToyPull(Method):
    """Minimise the distance of the mean features."""

    Config = Config
    reference = "nobody 2026"
    needs_classes = False

    def losses(self, source, target, progress):
        """Return the term."""
        apart = source.features.mean(dim=0) - target.features.mean(dim=0)
        return {"toy_mean": self.config.strength * apart.square().sum()}
''',
    "toys/net.py": '''
"""One convolution and a linear layer."""

from pydantic import Field
from torch import nn

from galshift.models import MODELS, Network, NetworkConfig, Output


class Config(NetworkConfig):
    """Options of `toy-net`."""

    width: int = Field(4, ge=1, description="Channels.")


@MODELS.register("toy-net")
class ToyNet(Network):
    """One convolution, averaged over the image."""

    Config = Config
    reference = "nobody 2026"

    def __init__(self, in_channels, size, n_classes, config):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(in_channels, config.width, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.feature_dim = config.width
        self.head = nn.Linear(config.width, n_classes)

    def forward(self, images):
        """Return features and logits."""
        features = self.encoder(images)
        return Output(features, self.head(features))
''',
    "toys/rest.py": '''
"""The lighter things: a metric, a reader, a fault, a reducer, a selector and a survey as a mapping."""

import numpy as np

from galshift.audit.faults import FAULTS, Fault, each_band
from galshift.data.readers import READERS, Cutouts, InMemory, stem
from galshift.embedding.reducers import REDUCERS, Reducer
from galshift.evaluation import Metric
from galshift.selection import SELECTORS, Candidate, Selector


def always_half(sample):
    """One half, whatever was answered."""
    return np.full(len(sample.table), 0.5)


HALF = Metric("toy_half", "toy half", always_half, labels="class", summary="one half, whatever was answered")


@READERS.register("toy-reader")
def open_toy(path, options):
    """Open a ``.toy`` file, which holds a NumPy archive."""
    with np.load(path) as arrays:
        cutouts = Cutouts(images=arrays["images"], unit="nJy", pixel_scale=0.396, bands=("g", "r", "i"))
    return InMemory(cutouts, name=stem(path), path=path, reader="toy-reader")


open_toy.suffixes = (".toy",)


@FAULTS.register("toy-warm")
class Warm(Fault):
    """A pixel that counts 300 electrons too many in one band."""

    adds = True

    def variants(self, scene):
        """Return 300 electrons in each band."""
        return each_band(scene.bands, [[300.0] * len(scene.bands)])


@REDUCERS.register("toy-plain")
class Plain(Reducer):
    """The first two features as they are."""

    def reduce(self, features, seed=0):
        """Return the first two columns."""
        return features[:, :2]


@SELECTORS.register("toy-confidence")
class Confidence(Selector):
    """The mean of the largest class probability."""

    def score(self, candidate: Candidate) -> float:
        """Return the mean confidence."""
        return float(candidate.probabilities_target.max(axis=1).mean())
''',
    "toys/tally.py": '''
"""Count the images of a data set, and how many are bright."""

from pydantic import Field

from galshift.verbs import STEPS, Config, ReadOptions, Step


class TallyConfig(Config):
    """What is counted."""

    data: str = Field(description="Images to count.")
    read: ReadOptions = ReadOptions()
    bright: float = Field(0.0, ge=0, description="Count images whose peak exceeds this.")


@STEPS.register("toy-tally")
class Tally(Step):
    """Count the images of a data set, and how many are bright.

    Writes report.html.
    """

    kind = "toy-tally"
    Config = TallyConfig
    inputs = ("data", "read.labels?")
    positionals = ("data",)
    examples = ("galshift toy-tally sdss/", "galshift toy-tally sdss/ --bright 10")

    def run(self, config, run, context):
        """Count."""
        import numpy as np

        from galshift.data.open import open_dataset
        from galshift.report import ReportData, build

        data = open_dataset(config.data, config.read)
        peaks = data.read(np.arange(len(data))).images.max(axis=(1, 2, 3))
        n = int((peaks > config.bright).sum())
        lede = (f"{n} of {len(data)} images are bright.",)
        build(run.path / "report.html", ReportData(title="A toy tally", lede=lede))
        return {"n": len(data), "n_bright": n, "outputs": {"report": "report.html"}}

    def describe(self, results):
        """Say the count."""
        return [f"{results['n_bright']} of {results['n']} images are bright"]
''',
    "toys/broken.py": '"""Not to be imported."""\n\nraise RuntimeError("the toy box is locked")\n',
}
ENTRY_POINTS = """\
[galshift.methods]
toy-pull = toys.pull:ToyPull
toy-broken = toys.broken:Method
[galshift.models]
toy-net = toys.net:ToyNet
[galshift.metrics]
class.toy_half = toys.rest:HALF
class.toy_broken = toys.broken:METRIC
[galshift.data.readers]
toy-reader = toys.rest:open_toy
toy-broken = toys.broken:reader
[galshift.audit.faults]
toy-warm = toys.rest:Warm
[galshift.embedding.reducers]
toy-plain = toys.rest:Plain
[galshift.selection]
toy-confidence = toys.rest:Confidence
[galshift.surveys]
toy-survey = toys
toy-mapping = toys.presets:MAPPING
toy-broken = toys.broken:SURVEY
[galshift.verbs]
toy-tally = toys.tally:Tally
toy-broken-verb = toys.broken:Verb
"""


def install(folder: Path, preset: str) -> Path:
    """Build the package and install it with pip into a folder, which is returned; `preset` is YAML."""
    files = {
        **MODULES,
        "toys/toy-survey.yaml": preset,
        "toys/presets.py": (
            '"""A survey as a mapping."""\n\nfrom pathlib import Path\n\nimport yaml\n\n'
            'MAPPING = yaml.safe_load((Path(__file__).parent / "toy-survey.yaml").read_text())\n'
            'MAPPING["name"] = "toy-mapping"\n'
        ),
        "toys-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n",
        "toys-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "toys-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
    }
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(text.encode())}")
    files["toys-1.0.dist-info/RECORD"] = "\n".join([*rows, "toys-1.0.dist-info/RECORD,,"]) + "\n"
    wheel = folder / "toys-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    site = folder / "site"
    words = ["install", "-q", "--no-deps", "--no-index", "--no-compile", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    return site
