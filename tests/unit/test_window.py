from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.execution.lattice import Cell, Lattice
from services.runtime.execution.window import Costs, choose_window, level_costs

LENGTHS, BATCHES = (8, 16, 32, 64), (1, 2, 4, 8)
CELLS = [Cell(b, n) for b in BATCHES for n in LENGTHS]
LATTICE = Lattice(dict.fromkeys(CELLS, "plain"), "x", "lengths")


@dataclass
class Waiting:
    length: int
    bucket: int


def make_queue(lengths):
    return [Waiting(n, LATTICE.fit_length(n)) for n in sorted(lengths)]


@given(st.lists(st.integers(1, 64), min_size=1, max_size=80), st.data())
def test_the_head_is_among_them_and_they_fit_a_batch(lengths, data):
    head = data.draw(st.integers(0, len(lengths) - 1))
    start, stop = choose_window(make_queue(lengths), head, LATTICE, Costs({}))
    assert 0 <= start <= head < stop <= len(lengths)
    assert stop - start <= 8


def test_where_a_call_costs_much_the_batch_is_filled():
    costs = Costs({cell: 1 + 0.001 * cell.batch * cell.length for cell in CELLS})
    start, stop = choose_window(make_queue([8, 60, 61, 62, 8, 9, 10, 63]), 0, LATTICE, costs)
    assert (start, stop) == (0, 8)


def test_where_steps_cost_much_lengths_do_not_mix():
    costs = Costs({cell: 0.001 + cell.batch * cell.length for cell in CELLS})
    assert choose_window(make_queue([8, 8, 60, 60]), 0, LATTICE, costs) == (0, 2)
    assert choose_window(make_queue([8, 8, 60, 60]), 3, LATTICE, costs) == (2, 4)


def test_padding_rows_cost_too():
    costs = Costs({cell: 0.001 + cell.batch * cell.length for cell in CELLS})
    start, stop = choose_window(make_queue([8] * 5), 0, LATTICE, costs)
    assert stop - start == 4  # the fifth would make it a batch of eight


def test_only_what_was_not_measured_is_learned():
    costs = Costs({Cell(1, 8): 1.0})
    for _ in range(50):
        costs.learn(Cell(1, 8), 3.0)
        costs.learn(Cell(8, 64), 0.5)
    assert costs.of(Cell(1, 8)) == 1.0
    assert costs.of(Cell(8, 64)) == 0.5
    assert costs.of_steps(8 * 64 * 4) == 2.0


def test_a_slow_measurement_is_corrected_by_larger_cells():
    seconds = {Cell(1, 8): 1.0, Cell(1, 16): 9.0, Cell(2, 8): 2.0, Cell(2, 16): 3.0}
    assert level_costs(seconds) == {Cell(1, 8): 1.0, Cell(1, 16): 3.0, Cell(2, 8): 2.0, Cell(2, 16): 3.0}
