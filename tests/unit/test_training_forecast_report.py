"""The report of a forecaster, from arrays alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from training.forecast.comparison import compare
from training.forecast.levels import QUANTILE_LEVELS
from training.forecast.measures import LAG7, LAST_VALUE, OURS, Forecasts, Weeks, measure_calibration, summarize
from training.forecast.report import Material, write_forecast_report
from training.forecast.sections import list_forecasts, list_intervals
from training.recipe.publication import read_versions
from training.recipe.report.page import Figure

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
FIGURES = ["ratios.png", "days.png", "calibration.png", "coverage.png", "forecasts.png"]


def make_weeks(source: str, n: int = 4, statistical: tuple[str, ...] = (), actual: np.ndarray | None = None) -> Weeks:
    rng = np.random.default_rng(len(source))
    actual = rng.normal(50, 8, (n, 7)) if actual is None else actual
    missing = np.full((*actual.shape, len(QUANTILE_LEVELS)), np.nan)
    around = np.where(np.isnan(actual), 50, actual)
    ours = around + rng.normal(0, 3, actual.shape)
    quantiles = ours[..., None] + 3 * norm.ppf(QUANTILE_LEVELS)
    return Weeks(
        source=source,
        series=(source,) * n,
        first_day=(17_956 + 7 * np.arange(n)).astype(np.int32),
        history=np.where(rng.random((n, 784)) < 0.1, np.nan, rng.normal(50, 8, (n, 784))),
        actual=actual,
        scales={1: np.full(n, 6.0), 7: np.full(n, 5.0)},
        forecasts={
            OURS: Forecasts(ours, quantiles),
            LAG7: Forecasts(around + rng.normal(0, 6, actual.shape), missing),
            LAST_VALUE: Forecasts(around + rng.normal(0, 9, actual.shape), missing),
            **{name: Forecasts(ours + 1, quantiles + 1) for name in statistical},
        },
    )


@pytest.fixture(scope="module")
def material(models_dir: Path) -> Material:
    columns = ("epoch", "loss", "val_loss", "learning_rate")
    return Material(
        title="runs/forecast/20261124T124500",
        config={"optimisation": {"epochs": 2}, "seed": 7},
        sources=[make_weeks("cta_rail", 12, ("AutoETS", "MSTL, weeks")), make_weeks("<b>a & b", 5, ("AutoETS",))],
        history={name: np.arange(1, 3.0) for name in columns},
        costs={"latency_ms_batch1": 0.5, "size_bytes": 1e6},
        versions=read_versions(models_dir, "forecast"),
    )


@pytest.fixture(scope="module")
def written(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "report"
    assert write_forecast_report(material, folder) == summarize(material.sources)
    return folder


def test_a_forecast_report_tells_all(material: Material, written: Path) -> None:
    told = json.loads((written / "report.json").read_text())
    assert told["metrics"] == summarize(material.sources)
    assert told["figures"] == [*FIGURES, "costs.png", "learning_curves.png"]
    assert {path.name for path in written.glob("*.png")} == set(told["figures"])
    assert [method["method"] for method in told["methods"]] == [OURS, LAG7, LAST_VALUE, "AutoETS"]
    assert told["methods"][3]["mae_to_lag7"].keys() == {"cta_rail", "<b>a & b"}
    assert told["sources"][0]["calibration"] == measure_calibration(material.sources[0], OURS).tolist()
    assert len(told["sources"][0]["days"]["wql"]) == 7
    assert told["config"] == material.config
    html = (written / "report.html").read_text()
    assert "MAE to AutoETS" in html
    assert "only some of the sources: MSTL, weeks." in html
    assert "&lt;b&gt;a &amp; b" in html and "<b>" not in html
    sections = ("Quality", "Earlier versions", "By day of the horizon", "Intervals", "Forecasts", "Time and size")
    places = [html.index(f"<h2>{title}</h2>") for title in (*sections, "Training")]
    assert places == sorted(places)


def test_one_known_day_and_naive_forecasts_are_enough(tmp_path: Path) -> None:
    actual = np.full((1, 7), np.nan)
    nothing = make_weeks("nothing", 1, actual=actual.copy())
    actual[0, 3] = 48.0
    metrics = write_forecast_report(Material("run", {}, [make_weeks("one", 1, actual=actual), nothing]), tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["figures"] == FIGURES
    assert told["sources"][0]["days"]["mae"][0] is None
    assert told["sources"][0]["days"]["mae"][3] == pytest.approx(metrics["one_mae"])
    assert told["metrics"]["nothing_mae"] is None
    assert '<td class="r">–</td>' in (tmp_path / "report.html").read_text()


def test_weeks_without_a_known_day_are_not_drawn() -> None:
    nothing = [make_weeks("nothing", 2, actual=np.full((2, 7), np.nan))]
    assert list_forecasts(nothing).parts == ["No day of any week is known."]
    figures = [
        part.name for part in list_intervals(nothing, compare(nothing, draws=10)).parts if isinstance(part, Figure)
    ]
    assert figures == ["calibration", "coverage"]


def test_sources_come_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"each once, found \['a', 'a'\]"):
        write_forecast_report(Material("run", {}, [make_weeks("a"), make_weeks("a")]), tmp_path)
    with pytest.raises(ValueError, match=r"at least one, each once, found \[\]"):
        write_forecast_report(Material("run", {}, []), tmp_path)


def test_the_number_of_sources_that_are_drawn_is_told() -> None:
    sources = [make_weeks(f"s{i}", 1) for i in range(13)]
    (figure,) = list_forecasts(sources).parts
    assert isinstance(figure, Figure)
    assert figure.caption.endswith("The first 12 of 13 sources.")


def test_intervals_are_listed_of_methods_that_have_them() -> None:
    sources = [make_weeks("a", statistical=("AutoETS",))]
    table = list_intervals(sources, compare(sources, draws=10)).parts[2]
    assert [row[0] for row in table.rows] == [OURS, "AutoETS"]


@pytest.mark.parametrize("width", [400, 1200])
def test_a_forecast_page_fits_the_screen(chromium, written: Path, width: int) -> None:
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        chromium.get((written / "report.html").as_uri())
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
