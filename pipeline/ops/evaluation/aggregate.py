"""From values of items to one number: means, balanced accuracy, existence at a threshold, intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.schema.evaluation import ExistenceAt, ExistenceScores, Interval

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]
HALF = 0.5
"""Confidence above which the official protocol takes an object for present."""
CALIBRATION_BINS = 10


def mean(values: Values) -> float | None:
    """Mean of the values that are numbers; None without any."""
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else None


def balanced_accuracy(exists: Flags, predicted: Flags) -> float | None:
    """Mean recall of the classes that occur; None without any item. With one class only: its recall."""
    recalls = [float(np.mean(predicted[exists == kind] == kind)) for kind in (False, True) if np.any(exists == kind)]
    return float(np.mean(recalls)) if recalls else None


def existence(exists: Flags, confidence: Values, threshold: float | None) -> ExistenceScores:
    """How well confidence tells whether the object is in the target view.

    Args:
        threshold: chosen on other items; None: the best one on these, which is an upper bound.
    """
    return ExistenceScores(
        at_half=_existence_at(exists, confidence, HALF),
        chosen=_existence_at(
            exists, confidence, best_threshold(exists, confidence) if threshold is None else threshold
        ),
        chosen_from="these items: an upper bound" if threshold is None else "given",
        auroc=_auroc(exists, confidence),
        calibration_error=_calibration_error(exists, confidence),
    )


def best_threshold(exists: Flags, confidence: Values) -> float:
    """The threshold with the greatest balanced accuracy: 0.5 where none is better, then the lowest."""
    if not exists.any() or exists.all():
        return HALF
    known = np.unique(confidence)
    all_present, all_absent = np.nextafter(known[0], -np.inf), known[-1]
    thresholds = np.concatenate([[HALF, all_present], (known[1:] + known[:-1]) / 2, [all_absent]])
    present, absent = np.sort(confidence[exists]), np.sort(confidence[~exists])
    missed = np.searchsorted(present, thresholds, "right") / len(present)
    rejected = np.searchsorted(absent, thresholds, "right") / len(absent)
    return float(thresholds[np.argmax(rejected - missed)])


def _existence_at(exists: Flags, confidence: Values, threshold: float) -> ExistenceAt:
    predicted = confidence > threshold
    return ExistenceAt(
        threshold=threshold,
        balanced_accuracy=balanced_accuracy(exists, predicted),
        true_positive_rate=float(np.mean(predicted[exists])) if exists.any() else None,
        true_negative_rate=float(np.mean(~predicted[~exists])) if not exists.all() else None,
    )


def _auroc(exists: Flags, confidence: Values) -> float | None:
    """Mann-Whitney's U over the product of the class sizes, ties counted half."""
    present, absent = confidence[exists], np.sort(confidence[~exists])
    if not len(present) or not len(absent):
        return None
    below, not_above = np.searchsorted(absent, present, "left"), np.searchsorted(absent, present, "right")
    return float(np.mean(below + not_above) / 2 / len(absent))


def _calibration_error(exists: Flags, confidence: Values) -> float | None:
    """Over equal bins, each weighted by its items."""
    if not len(exists) or confidence.min() < 0 or confidence.max() > 1:
        return None
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    filled = [bins == number for number in np.unique(bins)]
    return float(sum(abs(np.mean(confidence[one]) - np.mean(exists[one])) * np.mean(one) for one in filled))


class Bootstrap:
    """95 % intervals when takes are drawn with replacement: items of one take are no separate evidence.

    Args:
        takes: each item's take.
    """

    def __init__(self, takes: Sequence[str], *, draws: int, seed: int) -> None:
        names, self._take_of = np.unique(np.array(takes, dtype=object).astype(str), return_inverse=True)
        count = len(names)
        generator = np.random.default_rng(seed)
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=draws) if count > 1 else np.zeros((0, 0))
        self._times = drawn.astype(np.float64)
        """[draws, takes], how often each take was drawn. No rows with fewer than two takes: nothing can be said."""

    def of_means(self, values: Mapping[str, Values]) -> dict[str, Interval | None]:
        """Intervals of means; items whose value is not a number do not count."""
        return {name: self._of_mean(of_items) for name, of_items in values.items()}

    def _of_mean(self, values: Values) -> Interval | None:
        return _percentiles(self._rate(np.nan_to_num(values), ~np.isnan(values)))

    def of_balanced_accuracy(self, exists: Flags, predicted: Flags) -> Interval | None:
        """Interval of the mean recall of the classes that occur in a draw."""
        is_right = (exists == predicted).astype(np.float64)
        recalls = np.stack([self._rate(is_right * (exists == kind), exists == kind) for kind in (False, True)])
        known = ~np.isnan(recalls)
        with np.errstate(invalid="ignore"):
            return _percentiles(np.where(known, recalls, 0).sum(0) / known.sum(0))

    def _rate(self, parts: Values, counts: Flags) -> Values:
        """Sum of the parts over the number of items that count, in each draw; NaN where none does."""
        if not len(self._times):
            return np.empty(0)
        totals = [
            self._times @ np.bincount(self._take_of, weights=one, minlength=self._times.shape[1])
            for one in (parts, counts.astype(np.float64))
        ]
        with np.errstate(invalid="ignore"):
            return np.asarray(totals[0] / totals[1], np.float64)


def _percentiles(values: Values) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
