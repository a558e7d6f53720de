"""Parts of an answer that every HTTP face has."""

from pydantic import BaseModel


class ModelVersion(BaseModel):
    """The model that computed an answer."""

    name: str
    version: str


class Prediction(BaseModel):
    """One class and its probability."""

    label: str
    probability: float
