"""One network of a forecaster; every family but `direct` is such a layer."""

from keras import layers


class Network(layers.Layer):  # type: ignore[misc]
    """Features -> quantiles on the window's scale, float32 [B, 7, levels]."""

    def build(self, features_shape: object) -> None:
        """Its layers build themselves when it is first called: that takes a fifth of the time."""
