"""The benchmark of replicas: its ratios, and the model that sleeps."""

import time

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from bench.scale.ratios import Measurement, doublings, make_sheet, meets_target
from bench.scale.sleeper import NAME, save_sleeper
from services.runtime.execution.loading import load_servable
from services.runtime.metrics import PrometheusMeter
from services.runtime.settings import ModelSettings


def measured(*rates):
    return [Measurement(2**i, rate, 80.0 * 2**i, 100.0, 200.0, 0.5) for i, rate in enumerate(rates)]


def test_each_doubling_is_compared_with_half_as_many():
    assert doublings(measured(75.0, 150.0, 225.0)) == {2: 2.0, 4: 1.5}


@pytest.mark.parametrize(
    ("rates", "is_met"),
    [((75.0, 135.0, 243.0), True), ((75.0, 134.9, 270.0), False), ((75.0, 150.0, 269.0), False), ((75.0,), False)],
)
def test_every_doubling_has_to_be_worth_it(rates, is_met):
    assert meets_target(measured(*rates)) is is_met


def test_the_table_has_a_row_for_each_number_of_replicas():
    sheet = make_sheet(measured(75.0, 150.0, 225.0))
    assert [row[:5] for row in sheet.rows] == [
        ("1", "75.0", "1.00", "", "0.94"),
        ("2", "150.0", "2.00", "2.00", "0.94"),
        ("4", "225.0", "3.00", "1.50", "0.70"),
    ]
    assert all(len(row) == len(sheet.columns) for row in sheet.rows)


async def test_the_model_sleeps_for_a_batch_and_costs_no_processor(tmp_path):
    save_sleeper(tmp_path / "1", 0.2, (1, 2, 4))
    model = load_servable(tmp_path / "1", NAME, "1", ModelSettings(), PrometheusMeter(CollectorRegistry()))
    rows = [{"x": np.array([i], np.float32)} for i in range(4)]
    busy_s, started_s = time.process_time(), time.monotonic()
    answers = await model.infer_rows(rows)
    assert [float(answer["y"][0]) for answer in answers] == [0, 1, 2, 3]
    slept_s = time.monotonic() - started_s
    assert slept_s >= 0.2  # it cannot take less, however fast the machine is
    assert time.process_time() - busy_s < slept_s / 2
    await model.close()
