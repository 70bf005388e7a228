import gzip
import re
from importlib import resources

import numpy as np
import pytest

from tapeflow.data import breast_cancer, digits, iris

FOLDER = resources.files("tapeflow.data")


@pytest.mark.parametrize(
    ("load", "shape", "counts"),
    [
        (breast_cancer, (569, 10), [357, 212]),
        (iris, (150, 4), [50, 50, 50]),
        (digits, (1797, 64), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]),
    ],
)
def test_sizes_are_those_of_the_source(load, shape, counts):
    data = load()
    assert data.features.shape == shape
    assert data.features.dtype == np.float64
    assert data.labels.dtype == np.int64
    assert np.bincount(data.labels).tolist() == counts
    assert len(data.feature_names) == len(set(data.feature_names)) == shape[1]
    assert len(data.label_names) == len(counts)


def test_known_rows():
    cancer, flowers, images = breast_cancer(), iris(), digits()
    assert cancer.feature_names[:2] == ("mean_radius", "mean_texture")
    assert cancer.features[0, :4].tolist() == [17.99, 10.38, 122.8, 1001.0]
    assert cancer.label_names[cancer.labels[0]] == "malignant"
    # The two rows in which the repository's file differs from Fisher's table.
    assert flowers.features[[34, 37]].tolist() == [[4.9, 3.1, 1.5, 0.2], [4.9, 3.6, 1.4, 0.1]]
    assert images.labels[:3].tolist() == [0, 1, 2]
    assert images.features.min() == 0
    assert images.features.max() == 16


def test_each_load_returns_arrays_of_its_own():
    first = iris()
    first.features[:] = 0
    assert iris().features.max() == 7.9


@pytest.mark.parametrize("name", ["breast_cancer", "iris", "digits"])
def test_every_file_names_its_source_and_licence(name):
    text = gzip.decompress(FOLDER.joinpath(f"{name}.csv.gz").read_bytes()).decode("ascii")
    doi = re.search(r"https://doi\.org/10\.24432/\w+", text)
    assert doi
    assert "CC BY 4.0" in text
    section = FOLDER.joinpath("README.md").read_text(encoding="utf-8").split(f"## `{name}.csv.gz`")[1].split("\n## ")[0]
    for word in (doi.group(), "CC BY 4.0", "Changes:"):
        assert word in section


def test_the_files_are_small():
    sizes = [len(entry.read_bytes()) for entry in FOLDER.iterdir() if entry.name.endswith(".gz")]
    assert len(sizes) == 3
    assert sum(sizes) < 100_000
