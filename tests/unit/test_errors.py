import pytest
from pydantic import BaseModel, Field, ValidationError

from services.gateway.violations import to_invalid_input
from services.runtime import errors
from services.runtime.errors import CODES, InvalidInput, ServiceError, grpc_code, http_status


def test_every_error_has_its_codes():
    leaves = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, ServiceError)}
    assert leaves - {ServiceError} == set(CODES)


def test_codes_are_what_clients_expect():
    assert grpc_code(InvalidInput("x")).name == "INVALID_ARGUMENT"
    assert http_status(InvalidInput("x")) == 400
    assert http_status(errors.Overloaded("x")) == 429
    assert http_status(errors.PayloadTooLarge("x")) == 413
    assert http_status(errors.Unavailable("x")) == 503


def test_text_starts_with_the_field():
    assert str(InvalidInput("9 days; 1 to 7", "horizon")) == "horizon: 9 days; 1 to 7"
    assert str(InvalidInput("bad")) == "bad"


class Item(BaseModel):
    numbers: list[float] = Field(max_length=3)
    top_k: int = Field(ge=1, le=10, strict=True)


class Box(BaseModel):
    items: list[Item]


@pytest.mark.parametrize(
    ("item", "field", "said"),
    [
        ({"numbers": [1], "top_k": 11}, "items[0].top_k", "less than or equal to 10, got 11"),
        ({"numbers": [1, "x"], "top_k": 1}, "items[0].numbers[1]", "got 'x'"),
        ({"numbers": [1] * 4, "top_k": 1}, "items[0].numbers", "at most 3 items"),
        ({"numbers": [1]}, "items[0].top_k", "Field required"),
        ({"numbers": [1], "top_k": "y" * 10**6}, "items[0].top_k", "…"),
    ],
)
def test_findings_name_field_value_and_limit(item, field, said):
    with pytest.raises(ValidationError) as caught:
        Box.model_validate({"items": [item]})
    error = to_invalid_input(caught.value.errors())
    assert error.field == field
    assert said in error.message
    assert len(error.message) < 300
