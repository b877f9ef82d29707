"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import file_operations
from tests.every_verb import make_inputs
from tests.file_operations import Server
from tests.pipeline import Pipeline, run_pipeline
from tests.small_surveys import make_desk, two_surveys

# Small arrays everywhere in the suite: threads cost more than they give, and results stay the same.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Give each process of ``-n`` one stretch of the suite, and of another's what is left when it is done.

    The scheduler that is otherwise taken deals out ever smaller pieces: towards the end every process would
    make nearly every fixture of a module, and some take longer than all the tests that use them.
    """
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep indexes and downloads out of the user's cache, in child processes too."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real sample files; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the sample data folder shared/data is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Return what simulate, make-mocks, train, adapt, evaluate, predict, embed and an attack left behind."""
    return run_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="session", autouse=True)
def _server_ends(_own_cache: None) -> Iterator[None]:
    """End the server, if any test asked for it."""
    yield
    if file_operations.server.cache_info().currsize:
        file_operations.server().close()


@pytest.fixture(scope="session")
def server() -> Server:
    """Return a process that runs commands in forks of its own, to be stopped at a file operation."""
    return file_operations.server()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """Return a folder with what every verb needs, made once."""
    folder = tmp_path_factory.mktemp("verbs") / "inputs"
    make_inputs(folder, server)
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep torch to one thread, as the commands have it: the last bits depend on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def surveys(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return two small files of simulated galaxies, `sim.h5` and `sky.h5`, both with labels."""
    return two_surveys(tmp_path_factory.mktemp("surveys"))


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a network (`run`), its source, and the data sets `sky` and `dim`."""
    return make_desk(tmp_path_factory.mktemp("desk"))
