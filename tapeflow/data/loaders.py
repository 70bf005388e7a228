"""Read the data sets that ship with the package."""

from __future__ import annotations

import csv
import gzip
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "breast_cancer", "digits", "iris"]


class Dataset(NamedTuple):
    """A table of measurements, each row of which belongs to a class.

    Attributes
    ----------
    features : ndarray of float64, shape (rows, columns)
        The measurements, in the units of the source.
    labels : ndarray of int64, shape (rows,)
        Position of each row's class in `label_names`.
    feature_names : tuple of str
        One name for each column.
    label_names : tuple of str
        The classes, in alphabetical order.
    """

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    feature_names: tuple[str, ...]
    label_names: tuple[str, ...]


def breast_cancer() -> Dataset:
    """Load Breast Cancer Wisconsin (Diagnostic): 569 tumours, 10 features of their cell nuclei, benign or malignant.

    Returns
    -------
    Dataset
        The ten features are means over the nuclei of an image. Label 1 is malignant.

    Examples
    --------
    >>> from tapeflow.data import breast_cancer
    >>> breast_cancer().features.shape
    (569, 10)
    """
    return _load("breast_cancer")


def iris() -> Dataset:
    """Load Iris: 150 flowers of three species, lengths and widths of sepals and petals in centimetres.

    Returns
    -------
    Dataset
        Labels 0, 1, 2 are setosa, versicolor, virginica, 50 of each.

    Examples
    --------
    >>> from tapeflow.data import iris
    >>> iris().label_names
    ('setosa', 'versicolor', 'virginica')
    """
    return _load("iris")


def digits() -> Dataset:
    """Load Optical Recognition of Handwritten Digits: 1797 images of 8 by 8 pixels, ten classes.

    Returns
    -------
    Dataset
        A row holds the pixels of an image line by line, from 0 (white) to 16 (black).

    Examples
    --------
    >>> from tapeflow.data import digits
    >>> digits().features.reshape(-1, 8, 8).shape
    (1797, 8, 8)
    """
    return _load("digits")


def _load(name: str) -> Dataset:
    """Read a table: comment lines with the source, a line of column names, then rows that end in their class."""
    packed = resources.files("tapeflow.data").joinpath(f"{name}.csv.gz").read_bytes()
    lines = [line for line in gzip.decompress(packed).decode("ascii").splitlines() if not line.startswith("#")]
    header, *rows = csv.reader(lines)
    features = np.array([row[:-1] for row in rows], dtype=np.float64)
    label_names, labels = np.unique([row[-1] for row in rows], return_inverse=True)
    return Dataset(features, labels.astype(np.int64), tuple(header[:-1]), tuple(label_names.tolist()))
