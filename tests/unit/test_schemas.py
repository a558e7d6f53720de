import math

import pytest
from pydantic import ValidationError
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from services.forecast.schema import ForecastRequest
from services.sketch.schema import FACE_EXAMPLE, ClassifySketchesRequest, ClassifySketchRequest


def test_stroke3_and_strokes_of_one_drawing_are_the_same_request():
    strokes = [[[0, 10, 10], [0, 0, 5]], [[3, 4], [3, 3]]]
    stroke3 = [[0, 0, 0], [10, 0, 0], [0, 5, 1], [-7, -2, 0], [1, 0, 1]]
    first = ClassifySketchRequest(strokes=strokes).to_proto()
    second = ClassifySketchRequest(stroke3=stroke3).to_proto()
    assert first == second


def test_a_time_row_is_ignored():
    with_time = ClassifySketchRequest(strokes=[[[0, 1], [0, 1], [0, 17]]])
    assert with_time.to_proto() == ClassifySketchRequest(strokes=[[[0, 1], [0, 1]]]).to_proto()


def test_both_doors_make_the_same_message():
    rest = ClassifySketchRequest(strokes=FACE_EXAMPLE).to_proto()
    assert ClassifySketchesRequest.from_proto(rest).to_proto().SerializeToString() == rest.SerializeToString()


@pytest.mark.parametrize(
    ("strokes", "top_k"),
    [
        ([], 5),
        ([([], [])], 5),
        ([([1, 2], [1])], 5),
        ([([1, 2], [1, math.inf])], 5),
        ([([1, math.nan], [1, 2])], 5),
        ([([1], [1])] * 1001, 5),
        ([(range(6000), range(6000))] * 2, 5),
        ([([1, 2], [1, 2])], 1001),
        ([([1, 2], [1, 2])], -1),
    ],
)
def test_messages_are_held_to_the_same_limits(strokes, top_k):
    sketch = pb.Sketch(strokes=[pb.Stroke(x=x, y=y) for x, y in strokes])
    with pytest.raises(ValidationError):
        ClassifySketchesRequest.check(pb.ClassifySketchRequest(sketches=[sketch], top_k=top_k))


def test_a_message_without_drawings_or_with_too_many_is_refused():
    sound = pb.Sketch(strokes=[pb.Stroke(x=[0, 1], y=[0, 1e30])] * 2)
    assert ClassifySketchesRequest.check(pb.ClassifySketchRequest(sketches=[sound] * 256)).top_k == 5
    for count in (0, 257):
        with pytest.raises(ValidationError):
            ClassifySketchesRequest.check(pb.ClassifySketchRequest(sketches=[sound] * count))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"strokes": []},
        {"strokes": [[[], []]]},
        {"strokes": [[[1, 2], [1]]]},
        {"strokes": [[[1, 2], [1, math.nan]]]},
        {"strokes": [[[1, "2"], [1, 2]]]},
        {"strokes": [[[1, True], [1, 2]]]},
        {"strokes": FACE_EXAMPLE, "stroke3": [[0, 0, 0], [1, 1, 1]]},
        {"stroke3": [[0, 0, 0], [1, 1, 2]]},
        {"strokes": FACE_EXAMPLE, "top_k": 0},
        {"strokes": FACE_EXAMPLE, "top_k": "5"},
        {"strokes": FACE_EXAMPLE, "colour": "red"},
    ],
)
def test_bad_drawings_are_refused(body):
    with pytest.raises(ValidationError):
        ClassifySketchRequest.model_validate(body)


def test_the_point_limit_counts_all_strokes():
    stroke = [list(range(6000)), list(range(6000))]
    with pytest.raises(ValidationError, match="12000 points; at most 10000"):
        ClassifySketchRequest(strokes=[stroke, stroke])


def test_gaps_travel_as_nan_and_back():
    request = ForecastRequest.model_validate({"series": [{"start": "2020-01-01", "values": [1, None, *range(8)]}]})
    message = request.to_proto()
    assert math.isnan(message.series[0].values[1])
    assert ForecastRequest.from_proto(message) == request


@pytest.mark.parametrize(
    "change",
    [
        {"horizon": 0},
        {"horizon": 10_000},
        {"quantiles": [1.5]},
        {"quantiles": []},
        {"series": []},
        {"series": [{"start": "2020-02-30", "values": [1.0] * 9}]},
        {"series": [{"start": 18262, "values": [1.0] * 9}]},
        {"series": [{"start": "2020-02-01", "values": [1.0] * 3}]},
        {"series": [{"start": "2020-02-01", "values": [1e16] * 9}]},
        {"series": [{"start": "2020-02-01", "values": "1,2,3"}]},
    ],
)
def test_bad_series_are_refused(change):
    good = {"series": [{"start": "2020-01-01", "values": [1.0] * 9}], "horizon": 7, "quantiles": [0.5]}
    ForecastRequest.model_validate(good)
    with pytest.raises(ValidationError):
        ForecastRequest.model_validate(good | change)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"horizon": 3, "quantiles": [0.25]},
        {"horizon": 8},
        {"quantiles": [0.01]},
        {"values": [1.0, math.nan] * 8},
        {"values": [1.0, math.nan] * 7},
        {"values": [1.0] * 8 + [math.inf]},
        {"values": [1.0] * 8 + [-1.1e15]},
        {"values": [1.0] * 20_001},
        {"values": []},
        {"start": "20200101"},
        {"start": "2020-1-1"},
        {"start": "1899-12-31"},
        {"id": "x" * 257},
        {"count": 0},
        {"count": 257},
    ],
)
def test_messages_of_series_are_checked_as_their_json_is(change):
    asked = {"id": "a", "start": "2020-01-01", "values": [1.0] * 8, "count": 2, "horizon": 0, "quantiles": []} | change
    one = forecast_pb.Series(id=asked["id"], start=asked["start"], values=asked["values"])
    message = forecast_pb.ForecastRequest(
        series=[one] * asked["count"], horizon=asked["horizon"], quantiles=asked["quantiles"]
    )
    expected = tell(lambda m: ForecastRequest.from_proto(m).to_proto(), message)
    assert tell(ForecastRequest.check, message) == expected


def tell(check, message):
    """The message that a check makes of one, or where it finds something wrong."""
    try:
        return check(message).SerializeToString()
    except ValidationError as error:
        return [found["loc"] for found in error.errors()]
