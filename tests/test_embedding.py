"""Reducers, anomaly scores, map quality and the explorer page."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil

import numpy as np
import pytest

from galshift.embedding.anomaly import anomaly_scores, neighbor_distance
from galshift.embedding.explorer import build_explorer, script_json
from galshift.embedding.quality import domain_mixing, map_quality
from galshift.embedding.reducers import REDUCERS

EVIL = "</script><script>document.title='owned'</script>"


def clusters(n=90, d=12, seed=0):
    """Three far clusters in d dimensions."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    return rng.normal(size=(n, d)) + 12 * np.eye(d)[label], label


def small(name):
    """A reducer with a small budget."""
    kind = REDUCERS.get(name)
    return kind(kind.Config(iterations=500)) if name == "tsne" else kind()


@pytest.mark.parametrize("name", ["pca", "tsne", "isomap", pytest.param("umap", marks=pytest.mark.slow)])
def test_reducers_repeat_and_keep_clusters_apart(name):
    if name == "umap" and importlib.util.find_spec("umap") is None:
        pytest.skip("umap-learn is not installed")
    from sklearn.metrics import silhouette_score

    features, label = clusters()
    one, two = (small(name).reduce(features, seed=3) for _ in range(2))
    assert one.shape == (90, 2)
    assert np.isfinite(one).all()
    assert np.array_equal(one, two)
    assert silhouette_score(one, label) > 0.4
    assert REDUCERS.get(name).Config.model_config["frozen"]


@pytest.mark.parametrize("name", ["pca", "tsne", "isomap"])
@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (6, 1), (8, 300)])
def test_reducers_take_few_points_and_constant_features(name, shape):
    features = np.random.default_rng(0).normal(size=shape)
    assert small(name).reduce(features).shape == (shape[0], 2)
    assert np.isfinite(small(name).reduce(np.ones(shape))).all()


def test_pca_agrees_with_the_singular_value_decomposition():
    features, _ = clusters()
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    u, s, _ = np.linalg.svd(scaled, full_matrices=False)
    got = small("pca").reduce(features)
    assert np.allclose(np.abs(got), np.abs(u[:, :2] * s[:2]))


def test_isomap_places_the_rest_on_the_sheet():
    features, label = clusters(n=300)
    kind = REDUCERS.get("isomap")
    points = kind(kind.Config(max_points=100)).reduce(features, seed=1)
    from sklearn.metrics import silhouette_score

    assert silhouette_score(points, label) > 0.4


def test_outliers_score_highest_and_bad_rows_are_nan():
    features = np.random.default_rng(0).normal(size=(200, 6))
    features[17] += 9
    features[33] = np.nan
    scores = anomaly_scores(features)
    for name in ("isolation", "neighbors", "mahalanobis", "anomaly"):
        assert np.nanargmax(scores[name]) == 17, name
        assert np.isnan(scores[name][33])
    assert np.nanmin(scores["anomaly"]) >= 0
    assert scores["anomaly"][17] == 1


def test_mahalanobis_agrees_with_scikit_learn():
    from sklearn.covariance import LedoitWolf

    x = np.random.default_rng(1).normal(size=(100, 4))
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    assert np.allclose(anomaly_scores(x)["mahalanobis"] ** 2, LedoitWolf().fit(z).mahalanobis(z))


def test_views_of_one_odd_galaxy_do_not_vouch_for_each_other():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(104, 3))
    x[100:] = 10 + 0.01 * rng.normal(size=(4, 3))
    groups = np.r_[np.arange(100), np.full(4, 999)]
    alone = neighbor_distance(x, np.arange(104), 3)
    grouped = neighbor_distance(x, groups, 3)
    assert grouped[100:].min() > 5
    assert alone[100:].max() < 1


@pytest.mark.parametrize("n", [1, 2, 4])
def test_few_galaxies_have_scores_too(n):
    assert np.isfinite(anomaly_scores(np.random.default_rng(0).normal(size=(n, 3)))["anomaly"]).all()


def test_quality_is_perfect_for_the_identity_and_chance_for_noise():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    same = map_quality(x, x)
    assert (same["trustworthiness"], same["continuity"]) == (1, 1)
    assert map_quality(x, rng.normal(size=(300, 2)))["trustworthiness"] == pytest.approx(0.5, abs=0.06)
    assert np.isnan(map_quality(x[:3], x[:3])["continuity"])


def test_mixing_is_one_when_shuffled_and_zero_when_apart():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5))
    domains = np.where(rng.random(400) < 0.25, "a", "b")
    mixed = domain_mixing(x, domains)
    assert mixed["mixing"] == pytest.approx(1, abs=0.12)
    apart = domain_mixing(x + 50 * (domains == "a")[:, None], domains)
    assert apart["mixing"] == 0
    assert set(apart["by_data_set"]) == {"a", "b"}
    assert np.isnan(domain_mixing(x, np.full(400, "a"))["mixing"])


def test_pairs_of_one_galaxy_do_not_count_as_mixing():
    rng = np.random.default_rng(0)
    galaxies = rng.normal(size=(150, 4))
    x = np.concatenate([galaxies, galaxies + 1e-3])
    domains = np.repeat(["a", "b"], 150)
    groups = np.tile(np.arange(150), 2)
    close = domain_mixing(x, domains, groups=None, n_neighbors=1)["mixing"]
    assert close == pytest.approx(2, abs=0.05)  # every nearest neighbour is its own mock
    assert domain_mixing(x, domains, groups=groups, n_neighbors=15)["mixing"] == pytest.approx(1, abs=0.1)


@pytest.fixture
def explorer(tmp_path):
    n = 40
    points = np.random.default_rng(0).normal(size=(n, 2))
    points[5] = np.nan
    score = np.linspace(0, 1, n)
    score[7] = np.nan
    picture = np.full((48, 48, 3), (250, 20, 20), np.uint8)
    return build_explorer(
        tmp_path / "explorer.html",
        title=EVIL,
        points=points,
        columns={
            "id": np.array([f'g{i},"{EVIL}' for i in range(n)]),
            "data_set": np.array(["sim", EVIL])[np.arange(n) % 2],
            "label": np.ma.MaskedArray(np.array(["a"] * n), mask=np.arange(n) == 3),
            "count": np.arange(n),
            "anomaly": score,
        },
        colour_by="data_set",
        thumbnails=dict.fromkeys(range(0, n, 2), picture),
        notes=[EVIL],
        command=EVIL,
    )


def test_explorer_holds_its_data_as_inert_json(explorer, tmp_path):
    html = explorer.read_text(encoding="utf-8")
    assert html.count("<script") == 2
    assert html.count("</script>") == 2
    held = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL).group(1))
    assert held["points"][5] is None
    by_name = {c["name"]: c for c in held["columns"]}
    assert by_name["anomaly"]["values"][7] is None
    assert by_name["data_set"]["words"] == sorted([EVIL, "sim"])
    assert held["tiles"][:3] == [0, -1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["explorer.html"]


def test_json_cannot_end_its_element():
    text = script_json({"a": "</script><!--&\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--&\u2028"}


def test_explorer_in_a_browser(explorer, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    complaints, requests = [], []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1200, "height": 900}, accept_downloads=True)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(explorer.as_uri())
        assert tab.title() == EVIL
        assert tab.locator("#count").inner_text() == "39 of 40 galaxies shown"
        tab.locator("#legend button").first.click()
        assert tab.locator("#count").inner_text() == "20 of 40 galaxies shown"
        tab.locator("#legend button").first.click()
        box = tab.locator("#map").bounding_box()
        tab.locator("#lasso").click()
        corners = [
            (2, 2),
            (box["width"] - 2, 2),
            (box["width"] - 2, box["height"] / 2),
            (2, box["height"] / 2),
        ]
        tab.mouse.move(box["x"] + 2, box["y"] + 2)
        tab.mouse.down()
        for x, y in corners[1:]:
            tab.mouse.move(box["x"] + x, box["y"] + y)
        tab.mouse.up()
        selected = int(re.search(r"(\d+) selected", tab.locator("#count").inner_text()).group(1))
        assert 5 < selected < 35
        with tab.expect_download() as download:
            tab.locator("#export").click()
        saved = tmp_path / "selection.csv"
        download.value.save_as(saved)
        tab.locator("#colour").select_option("anomaly")
        tab.locator("#range").fill("50")
        assert 15 <= int(tab.locator("#count").inner_text().split()[0]) <= 22
        browser.close()
    with saved.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == selected
    assert rows[0]["id"].endswith(f'"{EVIL}')
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_column_that_only_one_data_set_has_is_shown() -> None:
    from galshift.embedding.explorer import _column

    shown = _column("field", np.ma.masked_array([3, 0, 5], mask=[False, True, False]))
    assert shown["values"] == [3.0, None, 5.0]
    assert _column("field", np.ma.masked_array([3, 4]))["values"] == [3, 4]
