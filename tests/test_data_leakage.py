"""The leakage check names the images that two sets share, whichever way they are turned, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.leakage import find_leaks, orientations, small_pictures
from galshift.data.open import open_dataset


def galaxies(n, seed, *, size=40, noise=0.05):
    """Return (n, 2, size, size) elongated blobs with their own noise, in random places, sizes and angles."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    images = []
    for _ in range(n):
        angle, flat, width = rng.uniform(0, np.pi), rng.uniform(0.3, 0.9), rng.uniform(2, 7)
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        image = np.exp(-np.hypot(u, v / flat) / width)
        dx, dy = rng.uniform(-size / 3, size / 3, size=2)
        image += 0.3 * np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / 8)
        images.append(np.stack([image, 0.7 * image]))
    images = np.asarray(images) * rng.uniform(1, 30, size=(n, 1, 1, 1))
    return (images + rng.normal(scale=noise, size=images.shape)).astype(np.float32)


def in_memory(images, name, **details):
    ids = [f"{name}{i}" for i in range(len(images))]
    return InMemory(Cutouts(images=images, unit="nJy", pixel_scale=0.2, ids=ids, **details))


@pytest.mark.parametrize("size", [40, 41])
def test_turned_copies_are_named_and_nothing_else(size):
    train, test = galaxies(60, 0, size=size), galaxies(30, 1, size=size)
    planted = {3: 7, 4: 7, 11: 0, 29: 59}
    for i, (row, source) in enumerate(planted.items()):
        test[row] = orientations(train[source])[2 * i + 1]
    leaks = find_leaks(in_memory(train, "a"), in_memory(test, "b"))
    assert {(leak.test, leak.train) for leak in leaks.images} == {
        (f"b{row}", f"a{source}") for row, source in planted.items()
    }
    assert all(leak.identical for leak in leaks.images)
    assert leaks.fraction == pytest.approx(4 / 30)


def test_near_copies_are_found_and_said_to_be_near():
    train, test = galaxies(40, 2), galaxies(40, 3)
    rng = np.random.default_rng(4)
    test[5] = train[6] + 0.01 * rng.normal(size=train[6].shape)
    leaks = find_leaks(in_memory(train, "a"), in_memory(test, "b"))
    assert [(leak.test, leak.train, leak.identical) for leak in leaks.images] == [("b5", "a6", False)]
    assert leaks.images[0].similarity > 0.999


def test_one_shape_at_another_brightness_is_another_galaxy():
    train, test = galaxies(10, 5, noise=0), galaxies(10, 6, noise=0)
    test[1] = 3 * train[1]
    leaks = find_leaks(in_memory(train, "a"), in_memory(test, "b"), threshold=0.9999)
    assert "b1" not in {leak.test for leak in leaks.images}


def test_names_of_galaxies_that_both_sets_give_are_told():
    train = in_memory(galaxies(4, 7), "a", groups=["g1", "g2", "g3", "4"])
    test = in_memory(galaxies(4, 8), "b", groups=["g9", "g2", "g2", "4"])
    leaks = find_leaks(train, test)
    assert leaks.groups == ("4", "g2")
    assert leaks.in_groups == 3
    assert leaks.images == ()


def test_other_sizes_and_empty_images():
    images = galaxies(6, 9, size=64)
    half = images.reshape(6, 2, 32, 2, 32, 2).mean(axis=(3, 5))
    images[2] = 0
    leaks = find_leaks(in_memory(images, "a"), in_memory(half, "b"), threshold=0.98)
    assert {(leak.test, leak.train) for leak in leaks.images} == {(f"b{i}", f"a{i}") for i in (0, 1, 3, 4, 5)}


def test_small_pictures_turn_with_their_images():
    for size in (24, 33, 70):
        images = galaxies(3, size, size=size)
        turned = np.ascontiguousarray(np.rot90(images, axes=(2, 3)))
        expected = np.rot90(small_pictures(images), axes=(1, 2))
        np.testing.assert_allclose(small_pictures(turned), expected, atol=1e-5)


def test_published_pictures_that_are_copies(shared_data):
    """Galaxy Zoo's help images: 146 of the 168 Illustris files are unique (README), by their bytes."""
    dataset = open_dataset(shared_data / "gz-survey-examples" / "illustris")
    assert len(set(dataset.info.groups)) == 146
    cutouts = dataset.read(np.arange(168))
    first, second = cutouts.take(np.arange(84)), cutouts.take(np.arange(84, 168))
    leaks = find_leaks(InMemory(first), InMemory(second))
    by_bytes = np.isin(second.groups, first.groups)
    assert sorted(leak.test for leak in leaks.images) == sorted(second.ids[by_bytes])


def test_inspect_names_the_offenders(tmp_path, capsys):
    import galshift
    from galshift.recipes.inspect import show

    train, test = galaxies(8, 0), galaxies(5, 1)
    test[2] = orientations(train[4])[5]
    np.save(tmp_path / "train.npy", train)
    np.save(tmp_path / "test.npy", test)
    words = {"unit": "nJy", "against": str(tmp_path / "test.npy")}
    found = galshift.inspect(tmp_path / "train.npy", **words)
    leaks = found["leaks"]
    assert leaks["fraction"] == pytest.approx(0.2)
    assert [(leak["test"], leak["train"], leak["identical"]) for leak in leaks["images"]] == [
        ("2", "4", True)
    ]
    show(found, str(tmp_path / "train.npy"), words["against"])
    assert "1 of 5 images" in capsys.readouterr().out
