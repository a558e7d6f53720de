"""The model card of the forecaster, written from what the run measured."""

from collections.abc import Mapping

from training.forecast.config import CONTEXT, HORIZON, MIN_OBSERVED, PRESETS, Config
from training.forecast.data import SOURCES, VALIDATION_DAYS, Series

CARD = """# forecast: the next seven days of any daily series

One global model, used zero-shot: it is given the past of a series it may never have seen and answers
with a mean and quantiles for each of the next {horizon} days. Meant for demand, traffic, weather and
similar daily series; not for prices, and not for decisions that need a guarantee.

## Input and output

`values` float64 [batch, {context}]: the last {context} days, oldest first; NaN for missing days and, on the
left, for days before the history starts. `first_day` int32 [batch]: first day to forecast, in days since
1970-01-01. Returns `mean` float64 [batch, 7] and `quantiles` float64 [batch, 7, levels], which never cross.
At least {min_observed} observed days are expected; from about a year on, holidays of last year are used.
Shifting or positively scaling a series shifts and scales its forecast, with one exception: where no value
was negative, no forecast is. A constant series is forecast exactly, with quantiles of no width.

## How it works

Each window is normalised by the median and the spread of its last 91 observed days. Convolutions and a GRU
read 16 weeks and the same days of last year; each forecast day attends to them, knowing its own place in
the calendar. The answer is a learned mixture of eleven simple forecasts (the same weekday last week, weekday
medians, recent level, last year's holidays ...) plus a correction; quantiles add positive steps. The
quantiles of {members} networks are averaged ({parameters:,} parameters in all). `mean` is the mean of the
distribution that the quantiles describe.

## Training

`{command}`

{steps} steps of {batch_size} windows, pinball loss, Adam with a cosine schedule, seed {seed}. {training_data}
Histories are shortened and spoiled with gaps at random, so that poor input is familiar. The last days of each
series are never trained on, and the {validation_days} days before them only watch the training.

## Data and licences

{data}

## Measured

Weekly forecasts from rolling origins without overlap, through the served signature, no refitting. The ratio
is the mean absolute error of `mean` over that of the naive forecast: below 1 is better. Missing days are not
scored.

{table}

Geometric mean of the ratios: **{lag7:.3f}** to the same weekday of last week, **{last:.3f}** to the last
value.
Mean coverage: 80 % interval {coverage_80:.1%}, 95 % interval {coverage_95:.1%}.

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


def write_card(config: Config, series: list[Series], parameters: int, metrics: Mapping[str, float]) -> str:
    """The card of a model trained with `config` on `series` (none: synthetic data only)."""
    return CARD.format(
        horizon=HORIZON,
        context=CONTEXT,
        min_observed=MIN_OBSERVED,
        members=config.members,
        parameters=parameters,
        command=_command(config, series),
        steps=config.optimisation.epochs * config.steps_per_epoch,
        batch_size=config.optimisation.batch_size,
        seed=config.seed,
        training_data=_describe_mix(config, series),
        validation_days=VALIDATION_DAYS,
        data=_describe_sources(series),
        table=_tabulate(metrics),
        lag7=metrics["mae_to_lag7_geometric_mean"],
        last=metrics["mae_to_last_value_geometric_mean"],
        coverage_80=metrics["coverage_80_mean"],
        coverage_95=metrics["coverage_95_mean"],
    )


def _command(config: Config, series: list[Series]) -> str:
    preset = next((name for name, known in PRESETS.items() if known == config), None)
    if preset is None:
        return f"train({config}, ...)"
    return f"seqserve train forecast --preset {preset}" + (" --data ../shared/data" if series else "")


def _describe_mix(config: Config, series: list[Series]) -> str:
    if not series:
        return "All windows are synthetic."
    return f"{config.synthetic_share:.0%} of the windows are synthetic, the rest are cut from the series below."


def _describe_sources(series: list[Series]) -> str:
    own = "Synthetic series are generated by the recipe."
    if not series:
        return own
    rows = [
        f"| {s.file} | {s.licence} | {'yes' if s.trained else 'no (zero-shot)'} | {s.evaluated_from} |" for s in SOURCES
    ]
    header = "| series | origin and licence | trained on | evaluated from |\n|---|---|---|---|\n"
    unclear = (
        "Where a licence is called unclear, the numbers were published for research and reached us in an R "
        "package under the GPL; the package's licence may not be the data's. The model holds no data."
    )
    return header + "\n".join(rows) + f"\n\n{unclear} {own}"


def _tabulate(metrics: Mapping[str, float]) -> str:
    names = [n.removesuffix("_weeks") for n in metrics if n.endswith("_weeks")]
    rows = [
        "| series | weeks | MAE | lag-7 MAE | ratio | to last value | sMAPE | 80 % | 95 % |",
        "|---|" + "---|" * 8,
    ]
    for name in names:
        m = {k: metrics[f"{name}_{k}"] for k in ("weeks", "mae", "lag7_mae", "mae_to_lag7", "mae_to_last_value")}
        rows.append(
            f"| {name} | {m['weeks']:.0f} | {m['mae']:,.4g} | {m['lag7_mae']:,.4g} | {m['mae_to_lag7']:.3f} "
            f"| {m['mae_to_last_value']:.3f} | {metrics[f'{name}_smape']:.1f} "
            f"| {metrics[f'{name}_coverage_80']:.1%} | {metrics[f'{name}_coverage_95']:.1%} |"
        )
    return "\n".join(rows)
