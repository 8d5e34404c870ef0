"""Logistic regression on vectors, by scikit-learn, its penalty chosen on other vectors."""

import warnings

import numpy as np
import numpy.typing as npt

CS = tuple(10.0**power for power in range(-4, 5))
MOST_STEPS = 1000
NEVER = -100.0  # the logarithm of the probability of a class that was not among those that it learnt from
Double = npt.NDArray[np.float64]
Ids = npt.NDArray[np.integer]


def logistic_regression(
    x: Double, ids: Ids, val: tuple[Double, Ids], test: Double, n_classes: int
) -> tuple[Double, float]:
    """Fit one for each strength of the penalty on the squared weights, and take the one that is best on val.

    Args:
        x: (n, r) vectors.
        ids: (n,) their classes, two at least.
        val: (m, r) vectors and (m,) classes that choose: by the share of errors, then by the mean loss.
        test: (l, r) vectors.
        n_classes: K.

    Returns:
        The logarithms of the probabilities (l, K) of test, and ``C``, 1 over the strength.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    def of(vectors: Double, model: LogisticRegression) -> Double:
        found = np.full((len(vectors), n_classes), NEVER)
        found[:, model.classes_] = np.maximum(model.predict_log_proba(vectors), NEVER)
        return found

    chosen: tuple[tuple[float, float], Double, float] | None = None
    model = LogisticRegression(max_iter=MOST_STEPS, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # hardly penalised weights may grow for ever
        for c in CS:
            model.set_params(C=c).fit(x, ids)
            on_val = of(val[0], model)
            error = float(np.mean(on_val.argmax(axis=1) != val[1]))
            loss = -float(np.mean(on_val[np.arange(len(on_val)), val[1]]))
            if chosen is None or (error, loss) < chosen[0]:
                chosen = (error, loss), of(test, model), c
    assert chosen is not None
    return chosen[1], chosen[2]
