"""The model card of the forecaster, written from what the run measured."""

import math
from collections.abc import Mapping, Sequence

from training.forecast.config import CONTEXT, HORIZON, MIN_OBSERVED, PRESETS, QUANTILE_LEVELS, Config
from training.forecast.data import Series, group_by_source
from training.forecast.measures import Weeks, summarize
from training.forecast.sources import SOURCES
from training.recipe.config import describe_command

CARD = """# forecast: the next seven days of any daily series

One global model, used zero-shot: it is given the past of a series it may never have seen and answers
with a mean and quantiles for each of the next {horizon} days. Meant for demand, traffic, weather and
similar daily series; not for prices, and not for decisions that need a guarantee.

## Input and output

`values` float64 [batch, {context}]: the last {context} days, oldest first; NaN for missing days and, on the
left, for days before the history starts. `first_day` int32 [batch]: first day to forecast, in days since
1970-01-01. Returns `mean` float64 [batch, 7] and `quantiles` float64 [batch, 7, levels], which never cross.
At least {min_observed} observed days are expected; from about a year on, holidays of the last two years are used.
{equivariance}
A constant series is forecast exactly, with quantiles of no width. Where the absolute error counts, use the median
(the quantile 0.5); `mean` is the mean of the distribution that the quantiles describe, and least in squared error.

## How it works

Each window is normalised by location and spread of its last 91 observed days. The answer is a learned mixture of
twenty simple forecasts (the same weekday last week, weekday medians, exponential smoothing of weekdays and level at
several rates, holidays of the last two years ...) plus a correction; quantiles add positive steps. Family
`{family}`, {members} networks of which the median is taken, quantile by quantile ({parameters:,} parameters in all).
{calibration}

## Training

`{command}`

{steps} steps of {batch_size} windows, pinball loss, {optimizer} with a {schedule} schedule, seed {seed}.
{training_data}
Histories are shortened and spoiled with gaps at random, so that poor input is familiar. The last days of each
series are never trained on; some weeks before them only watch the training and calibrate the intervals.

## Data and licences

{data}

## Measured

Weekly forecasts from rolling origins without overlap, through the served signature, no refitting. MAE is that of the
median; the ratio is MAE over that of the naive forecast: below 1 is better. Missing days are not scored.

{table}

Geometric mean of the ratios: **{lag7:.3f}** to the same weekday of last week, **{last:.3f}** to the last
value. Mean coverage: 80 % interval {coverage_80:.1%}, 95 % interval {coverage_95:.1%}.
docs/forecast-backtest.md has the same weeks beside statsforecast's models, and series that nothing was trained on.

## Limits

- Seven days, daily, one variable: promotions, weather and holidays that move (Easter) are not known to it.
- Intervals are calibrated on average over series like these, not for each series or regime: the table
  shows where the 80 % interval covers too much or too little, and where a naive forecast is as good.
- Demand on fewer than one day in five is underestimated, mean and upper quantiles alike: check it on your own
  series, or use a method for intermittent demand.
- After a jump to a new level, forecasts lean towards the old one for up to four weeks.
- Days on which one series is evaluated may lie before days on which another was trained.
- Trained on few sources, mostly from the United States and from before 2019; a break such as 2020 is followed
  only once it is in the history.
- A year's pattern needs a year of history; shorter histories get weekday patterns and level only.
"""
_EQUIVARIANT = (
    "Shifting or positively scaling a series shifts and scales its forecast, with one exception: where no value\n"
    "was negative, no forecast is."
)
_SCALED = "Positively scaling a series scales its forecast; where no value was negative, no forecast is."
_CALIBRATED = (
    "The distance of each quantile from the median is multiplied by a factor that makes intervals hold what they\n"
    "say\n({factors}),\nfitted on the weeks before the judged ones, each source counting the same\n"
    "(split conformal)."
)


def write_card(
    config: Config,
    series: Sequence[Series],
    factors: Sequence[float],
    sources: Sequence[Weeks],
    parameters: int,
    metrics: Mapping[str, float],
) -> str:
    """The card of a model trained with `config` on `series` (none: synthetic data only) and judged on `sources`."""
    optimisation = config.optimisation
    told = ", ".join(f"{level:g}: {factor:.2f}" for level, factor in zip(QUANTILE_LEVELS, factors, strict=True))
    return CARD.format(
        horizon=HORIZON,
        context=CONTEXT,
        min_observed=MIN_OBSERVED,
        equivariance=_EQUIVARIANT if config.transform == "none" else _SCALED,
        calibration=_CALIBRATED.format(factors=told) if config.calibrate else "The intervals are not calibrated.",
        family=config.model.family,
        members=config.model.members,
        parameters=parameters,
        command=describe_command("forecast", config, PRESETS, "../shared/data" if series else ""),
        steps=optimisation.epochs * config.steps_per_epoch,
        batch_size=optimisation.batch_size,
        optimizer=optimisation.optimizer,
        schedule=optimisation.schedule,
        seed=config.seed,
        training_data=_describe_mix(config, series),
        data=_describe_sources(config, series),
        table=_tabulate(sources),
        lag7=metrics.get("mae_to_lag7_geometric_mean", math.nan),
        last=metrics.get("mae_to_last_value_geometric_mean", math.nan),
        coverage_80=metrics["coverage_80_mean"],
        coverage_95=metrics["coverage_95_mean"],
    )


def describe_data(series: Sequence[Series], config: Config) -> str:
    """What a version was trained on, one line."""
    if not series:
        return "synthetic series, generated by the recipe"
    used = [name for name in group_by_source(series) if name not in config.left_out]
    return f"trained on: {'; '.join(map(_name_source, used))}; and synthetic series, generated by the recipe"


def _name_source(name: str) -> str:
    return f"{name} ({SOURCES[name].licence})" if name in SOURCES else name


def _describe_mix(config: Config, series: Sequence[Series]) -> str:
    if not series:
        return "All windows are synthetic."
    return f"{config.synthetic_share:.0%} of the windows are synthetic, the rest are cut from the series below."


def _describe_sources(config: Config, series: Sequence[Series]) -> str:
    own = "Synthetic series are generated by the recipe."
    if not series:
        return own
    rows = [
        f"| {name} | {SOURCES[name].licence if name in SOURCES else 'not known to the recipe'} | {len(members)} "
        f"| {'no' if name in config.left_out else 'yes'} | {min(one.judged_from for one in members)} |"
        for name, members in group_by_source(series).items()
    ]
    header = "| file | origin and licence | series | trained on | judged from |\n|---|---|---|---|---|\n"
    unclear = (
        "Where a licence is called unclear, the numbers were published for research and reached us in an R "
        "package under the GPL; the package's licence may not be the data's. The model holds no data."
    )
    return header + "\n".join(rows) + f"\n\n{unclear if 'nn5_daily' in group_by_source(series) else ''} {own}"


def _tabulate(sources: Sequence[Weeks]) -> str:
    rows = [
        "| file | weeks | MAE | lag-7 MAE | ratio | to last value | sMAPE | MASE (7) | 80 % | 95 % |",
        "|---|" + "---|" * 9,
    ]
    for weeks in sources:
        m = summarize([weeks])
        m = {name.removeprefix(f"{weeks.source}_"): value for name, value in m.items()}
        rows.append(
            f"| {weeks.source} | {m['weeks']:.0f} | {m['mae']:,.4g} | {m['lag7_mae']:,.4g} | {m['mae_to_lag7']:.3f} "
            f"| {m['mae_to_last_value']:.3f} | {m['smape']:.1f} | {m['mase7']:.3f} "
            f"| {m['coverage_80']:.1%} | {m['coverage_95']:.1%} |"
        )
    return "\n".join(rows)
