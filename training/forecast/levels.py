"""The levels that quantiles are forecast at, where Keras is not needed to know them."""

QUANTILE_LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
MEDIAN = QUANTILE_LEVELS.index(0.5)
