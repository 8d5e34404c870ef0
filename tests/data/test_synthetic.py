import numpy as np
import pytest

from tsmtl.data.synthetic import FAULTS, SPEED, load_synthetic

BOTH = {"cls": "cls", "reg": "reg"}


@pytest.fixture(scope="module")
def simulate(settings_of):
    def run(tasks=BOTH, **changes):
        return load_synthetic(settings_of("synthetic", **changes), tasks)

    return run


def of_fault(instances, name):
    """Rows of one fault."""
    return instances.targets["cls"].ids == FAULTS.index(name)


def power(x):
    """Give frequencies in periods per sample and the power (N, F) of the first channel; it sums to the mean square."""
    spectrum = np.abs(np.fft.rfft(x[:, 0])) ** 2 / x.shape[2] ** 2
    spectrum[:, 1:-1] *= 2
    return np.fft.rfftfreq(x.shape[2]), spectrum


def band_power(x, low, high):
    frequency, spectrum = power(x)
    return spectrum[:, (frequency >= low) & (frequency <= high)].sum(axis=1)


@pytest.mark.parametrize(("n", "c", "t"), [(30, 1, 16), (101, 5, 40)])
def test_size_and_names_are_as_asked(simulate, n, c, t):
    instances = simulate(n_instances=n, n_channels=c, n_steps=t)
    assert instances.x.shape == (n, c, t)
    assert instances.x.dtype == np.float32
    assert np.isfinite(instances.x).all()
    assert instances.channels == [f"sensor_{i}" for i in range(1, c + 1)]
    assert instances.targets["reg"].values.shape == (n, 1)
    assert instances.targets["reg"].unit == "%"


@pytest.mark.parametrize("k", range(2, 7))
@pytest.mark.parametrize("n", [60, 103])
def test_the_first_faults_are_the_classes_in_equal_numbers(simulate, k, n):
    target = simulate(n_instances=n, n_classes=k).targets["cls"]
    assert target.names == ["healthy", "unbalance", "misalignment", "bearing", "looseness", "gear"][:k]
    counts = np.bincount(target.ids)
    assert len(counts) == k
    assert np.ptp(counts) <= 1
    assert (np.diff(target.ids) != np.diff(np.arange(n) % k)).any()  # in no regular order


def test_the_seed_alone_decides_every_number(simulate):
    first, again, other = (simulate(seed=seed) for seed in (1, 1, 2))
    assert first.x.tobytes() == again.x.tobytes()
    assert first.targets["reg"].values.tobytes() == again.targets["reg"].values.tobytes()
    assert not np.isclose(first.x, other.x).any(axis=(1, 2)).all()
    assert (first.targets["cls"].ids != other.targets["cls"].ids).any()


def test_a_task_left_out_leaves_the_series_as_they_are(simulate):
    both = simulate()
    for task in BOTH:
        alone = simulate({task: task})
        assert list(alone.targets) == [task]
        assert alone.x.tobytes() == both.x.tobytes()


def test_a_healthy_machine_has_severity_zero_where_the_number_is_the_fault(simulate):
    instances = simulate(relatedness=1.0)
    severity, healthy = instances.targets["reg"].values[:, 0], of_fault(instances, "healthy")
    assert (severity[healthy] == 0).all()
    assert severity[~healthy].min() >= 25
    assert severity.max() <= 100
    assert severity[~healthy].max() > 95


@pytest.mark.parametrize(
    ("fault", "multiples"),
    [
        ("healthy", [1]),
        ("unbalance", [1]),
        ("misalignment", [2]),
        ("bearing", [3.57]),  # passings of a ball per revolution
        ("looseness", [0.5, 1.5]),
        ("gear", [3]),  # meetings of the teeth per revolution
    ],
)
def test_the_strongest_line_of_a_fault_is_at_its_multiple_of_the_shaft_speed(simulate, fault, multiples):
    instances = simulate(n_instances=300, n_classes=6, n_steps=512, noise=0.0)
    severity = instances.targets["reg"].values[:, 0]
    rows = of_fault(instances, fault) & ((severity > 60) | (severity == 0))
    frequency, spectrum = power(instances.x[rows])
    strongest = frequency[spectrum[:, 1:].argmax(axis=1) + 1]
    assert rows.sum() >= 20
    # The speed varies by 10 % around SPEED; 1 / 512 is the width of a line.
    near = [(strongest > m * SPEED * 0.9 - 1 / 512) & (strongest < m * SPEED * 1.1 + 1 / 512) for m in multiples]
    assert np.any(near, axis=0).all()


def size_of_misalignment(instances):
    """Measure the fault in the series: the line at twice the speed is 3 times the size as high as the one at once."""
    rows = of_fault(instances, "misalignment")
    once, twice = (band_power(instances.x[rows], m * SPEED * 0.85, m * SPEED * 1.15) for m in (1, 2))
    return np.sqrt(twice / once) / 3


def test_the_number_is_the_size_of_the_fault_at_relatedness_one(simulate):
    instances = simulate(n_instances=600, n_classes=3, n_channels=1, n_steps=1024, noise=0.0, relatedness=1.0)
    severity = instances.targets["reg"].values[of_fault(instances, "misalignment"), 0]
    measured = size_of_misalignment(instances)
    assert np.corrcoef(severity, measured)[0, 1] > 0.99
    np.testing.assert_allclose(measured, severity / 100, atol=0.1)


def test_the_number_tells_nothing_of_the_fault_but_of_the_wear_at_relatedness_zero(simulate):
    instances = simulate(n_instances=1500, n_classes=3, n_channels=1, n_steps=1024, noise=0.0, relatedness=0.0)
    rows = of_fault(instances, "misalignment")
    severity = instances.targets["reg"].values[:, 0]
    # Of 500 instances; chance alone gives 0.045 in the root mean square.
    assert abs(np.corrcoef(severity[rows], size_of_misalignment(instances))[0, 1]) < 0.15
    means = [severity[instances.targets["cls"].ids == k].mean() for k in range(3)]
    np.testing.assert_allclose(means, 50, atol=5)  # uniform from 0 to 100, 500 each: standard error 1.3
    hiss = np.sqrt(band_power(instances.x, 0.4, 0.5))
    assert np.corrcoef(severity[rows], hiss[rows])[0, 1] > 0.9


def test_relatedness_mixes_fault_and_wear_in_proportion(simulate):
    fault, wear, mixed = (simulate(relatedness=r).targets["reg"].values for r in (1.0, 0.0, 0.25))
    np.testing.assert_allclose(mixed, 0.25 * fault + 0.75 * wear, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_noise_raises_the_high_frequencies_by_its_own_power(simulate, noise):
    settings = {"n_instances": 120, "n_classes": 2, "n_steps": 512}
    quiet, loud = (band_power(simulate(noise=sd, **settings).x, 0.3, 0.5).mean() for sd in (0.0, noise))
    # White noise of this sd has the power noise ** 2, spread evenly: two fifths of it lie between 0.3 and 0.5.
    assert loud - quiet == pytest.approx(0.4 * noise**2, rel=0.05)


def test_the_speed_and_load_of_the_machine_tell_nothing_of_the_fault(simulate):
    instances = simulate(n_instances=600, n_classes=2, n_channels=1, n_steps=1024, noise=0.0)
    frequency, spectrum = power(instances.x)
    shaft = frequency[spectrum[:, 1:].argmax(axis=1) + 1]
    faulty = of_fault(instances, "unbalance")
    # Uniform within 10 % of SPEED: standard error of a mean of 300 is 0.0004.
    assert shaft[faulty].mean() == pytest.approx(shaft[~faulty].mean(), abs=0.0025)
    assert shaft.std() == pytest.approx(SPEED * 0.2 / np.sqrt(12), rel=0.1)


def test_named_tasks_may_learn_all_that_is_known_of_a_machine(compose):
    named = (
        "[{name: a, kind: cls, target: fault}, {name: b, kind: cls, target: wear_level}, "
        "{name: c, kind: reg, target: [severity, wear]}, {name: d, kind: multilabel, target: [faulty, severe, worn]}]"
    )
    settings = compose("task=custom", f"tasks={named}")
    targets = load_synthetic(settings.data, settings.tasks).targets
    size, wear = targets["c"].values.T / 100  # relatedness is 1: the severity is the fault's size
    assert targets["d"].names == ["faulty", "severe", "worn"]
    np.testing.assert_array_equal(targets["d"].values.T, [targets["a"].ids > 0, size > 0.6, wear > 0.5])
    np.testing.assert_array_equal(targets["b"].ids, (wear >= 1 / 3).astype(int) + (wear >= 2 / 3))
    assert targets["b"].names == ["low", "medium", "high"]
    plain = load_synthetic(compose().data, {"cls": "cls", "reg": "reg"}).targets
    np.testing.assert_array_equal(plain["reg"].values[:, 0], targets["c"].values[:, 0])
