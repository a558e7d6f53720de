"""The benchmark of peers: what it asks, how it comes to its figures, and that all serve with the same TensorFlow."""

import asyncio
import json
from importlib.metadata import version
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from seqserve.oip.v1 import inference_pb2 as oip_pb
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb

from bench.peers.cells import BY_KEY, CELLS, HOT, MAIN, REPEATED, Stock, count_payloads
from bench.peers.contestants import CONTESTANTS, OURS, PLAIN_RAY, Ports
from bench.peers.doors import INSTANCES, KSERVE_V1, OIP_GRPC, OIP_REST, OURS_GRPC, OURS_REST
from bench.peers.environments import LOCKS, list_environments, version_of
from bench.peers.items import CLIPS, repeat_half, vary_clips, vary_series
from bench.peers.measure import OpenLoop, Pace, Result, Run
from bench.peers.open_loop import draw_arrivals, drive_open
from bench.peers.plot import draw_peers
from bench.peers.report import describe_method
from bench.peers.servers.job import SketchJob, answer_all
from bench.peers.tables import make_sheets, spread
from bench.peers.verdict import Round, added_ms, judge
from bench.report import write_report
from services.video.transforms import ClipOptions, decode_clip

PEER = "MLServer"
RAW = {
    "sketch-1": {"rate": 500.0, "p50_ms": 2.0},
    "sketch-1-compiled": {"rate": 1000.0, "p50_ms": 1.0},
    "sketch-32": {"rate": 2000.0, "p50_ms": 16.0},
}


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    return Stock(tmp_path)  # without real drawings it has synthetic ones


def make_run(rates: dict[str, float], p50_ms: float = 3.0, door: str = "REST") -> Run:
    return Run({(door, key): Result(rate, p50_ms, 9.0, 0.5) for key, rate in rates.items()}, start_s=5.0)


def make_round(ours: float, peer: float = 400.0, plain: float = 200.0) -> Round:
    runs = {
        OURS: make_run({"sketch-1": 300.0, "sketch-64": ours, "repeated-64": 1500.0, "batch-4": 1800.0}, p50_ms=3.5),
        PEER: make_run({"sketch-64": peer, "repeated-64": 400.0}),
        PLAIN_RAY: make_run({"sketch-64": plain}),
    }
    return Round(runs, RAW)


def test_arrivals_are_a_poisson_process_that_a_seed_repeats():
    moments = draw_arrivals(rate=200.0, seconds=50.0, seed=3)
    gaps = np.diff(moments)
    assert (gaps > 0).all()
    assert moments[-1] < 50.0
    assert len(moments) == pytest.approx(10_000, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # as of an exponential distribution
    assert np.array_equal(moments, draw_arrivals(200.0, 50.0, 3))
    assert not np.array_equal(moments[:100], draw_arrivals(200.0, 50.0, 4)[:100])


async def test_open_loop_counts_the_wait_for_a_connection():
    step_s, running, most = 0.01, 0, 0

    async def connect():
        async def send(_payload: bytes) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(step_s)
            running -= 1

        return send

    load = await drive_open(connect, iter([b""] * 5), np.zeros(5), most=1)
    assert most == 1
    assert all(earlier < later for earlier, later in pairwise(load.latencies_s))
    assert load.latencies_s[-1] >= 4 * step_s  # it waited for the four before it


def test_nothing_is_asked_twice_unless_the_cell_wants_it(stock: Stock):
    new = stock.take(MAIN, OURS_REST.encode, 300) + stock.take(MAIN, OURS_REST.encode, 300)
    assert len(set(new)) == 600
    half = stock.take(REPEATED, OURS_REST.encode, 600)
    assert 300 - 60 <= len(set(half)) - HOT <= 300 + 60
    assert not set(half) & set(new)


def test_clips_and_series_are_new_each_time_and_clips_can_be_decoded():
    clips = list(islice(vary_clips(), 20))
    assert len({clip.content for clip in clips}) == 20
    assert len({tuple(series.values) for series in islice(vary_series(1), 20)}) == 20
    options = ClipOptions(frames=4, height=8, width=8, fps=8.0)
    first, again, other = (decode_clip(clips[i].content, options, "clip") for i in (1, 1 + CLIPS, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_half_of_the_items_repeat():
    items = list(islice(repeat_half(iter(range(10_000)), [-1, -2], 5), 2000))
    assert sum(item < 0 for item in items) == pytest.approx(1000, rel=0.1)


def test_every_door_says_the_same(stock: Stock):
    drawings = list(islice(stock._sources["drawing"], 3))
    expected = [drawing.strokes for drawing in drawings]
    as_json = [json.loads(door.encode("sketches", drawings)) for door in (INSTANCES, KSERVE_V1)]
    assert [[d["strokes"] for d in body["instances"]] for body in as_json] == [expected] * 2
    ours = json.loads(OURS_REST.encode("sketches", drawings))
    assert [d["strokes"] for d in ours["sketches"]] == expected
    tensor = json.loads(OIP_REST.encode("sketches", drawings))["inputs"][0]
    assert tensor["shape"] == [3, 1]
    assert [json.loads(text)["strokes"] for text in tensor["data"]] == expected
    typed = sketch_pb.ClassifySketchRequest.FromString(OURS_GRPC.encode("sketches", drawings))
    assert [list(s.x) for s in typed.sketches[1].strokes] == [pytest.approx(x) for x, _ in expected[1]]
    raw = oip_pb.ModelInferRequest.FromString(OIP_GRPC.encode("sketches", drawings)).raw_input_contents[0]
    size = int.from_bytes(raw[:4], "little")
    assert json.loads(raw[4 : 4 + size])["strokes"] == expected[0]


def test_peers_answer_the_same_alone_and_in_a_batch(stock: Stock):
    items = [{"strokes": d.strokes} for d in islice(stock._sources["drawing"], 5)]
    job = SketchJob()
    together = answer_all(job, items)
    for item, answer in zip(items, together, strict=True):
        alone = answer_all(job, [item])[0]
        assert [p["label"] for p in alone["predictions"]] == [p["label"] for p in answer["predictions"]]
        assert len(answer["predictions"]) == 5
        expected = [p["probability"] for p in alone["predictions"]]
        assert [p["probability"] for p in answer["predictions"]] == pytest.approx(expected, abs=1e-4)


def test_targets_are_medians_of_ratios_within_rounds():
    targets = judge([make_round(600.0), make_round(800.0, peer=500.0), make_round(1000.0, peer=500.0)])
    assert [(t.found, t.is_met) for t in targets] == [
        ("1.60", True),  # of 1.5, 1.6 and 2.0
        ("4.00", True),
        ("3.75", True),
        ("0.90", True),
        ("2.50 ms", True),
    ]
    missed = judge([make_round(500.0)])
    assert [t.is_met for t in missed] == [False, False, True, True, True]


def test_what_was_not_measured_is_neither_met_nor_missed():
    assert {t.is_met for t in judge([Round({OURS: make_run({"sketch-64": 1.0})})])} == {None}
    assert added_ms(Round(), "") is None


def test_the_best_peer_is_the_fastest_of_any_door():
    one = make_round(600.0)
    slow_and_fast = {("REST", "sketch-64"): Result(100, 1, 1, 1), ("gRPC", "sketch-64"): Result(450, 1, 1, 1)}
    with_doors = Round(one.runs | {"KServe": Run(slow_and_fast)}, RAW)
    name, result = with_doors.best_peer(MAIN) or ("", None)
    assert (name, result and result.rate) == ("KServe", 450)


def test_tables_hide_nobody(tmp_path: Path):
    rounds = [make_round(600.0), make_round(900.0)]
    rounds[0].runs[OURS].open_loop = OpenLoop("REST", 420.0, 5.0, 11.0)
    sheets = make_sheets(rounds, judge(rounds), {"KServe": "not installed"})
    write_report(tmp_path, "peers", describe_method(2, Pace(2.0, 4.0)), sheets, {})
    text = (tmp_path / "peers.md").read_text()
    servers = next(sheet for sheet in sheets if sheet.title == "servers")
    assert len(servers.rows) == len(CONTESTANTS)
    assert next(row for row in servers.rows if row[0] == "KServe")[-1] == "not installed"
    assert next(row for row in servers.rows if row[0] == "LitServe")[-1] == "not measured"
    assert "| **seqserve, REST** | 750 | 40% | 3.5 | 9.0 | 0.50 | 1.88 | 3.75 |" in text
    assert all(len(row) == len(sheet.columns) for sheet in sheets for row in sheet.rows)
    draw_peers(rounds, tmp_path / "peers.svg")
    assert "seqserve, REST" in (tmp_path / "peers.svg").read_text()


def test_spread_is_a_share_of_the_median():
    assert spread([90.0, 100.0, 120.0]) == pytest.approx(0.3)
    assert spread([5.0]) == 0


def test_every_cell_has_a_path_at_every_door():
    assert {cell.task for cell in CELLS} == set(OURS_REST.targets)
    for contestant in CONTESTANTS:
        for door in contestant.doors:
            assert set(door.targets) == set(OURS_REST.targets)
    assert count_payloads(BY_KEY["video-16"], 0.01) >= 16


def test_commands_name_files_that_are_there(tmp_path: Path):
    for number, contestant in enumerate(CONTESTANTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = contestant.command(Ports(1, 2, 3), folder)
        assert all(Path(word).exists() for word in words if word.endswith(".py"))


@pytest.mark.parametrize("name", list_environments())
def test_peers_are_locked_with_our_tensorflow(name: str):
    lock = (LOCKS / name / "requirements.txt").read_text()
    assert version_of(name, "tensorflow-cpu") == version("tensorflow-cpu")
    assert "://" not in lock
    assert {c.environment for c in CONTESTANTS if c.environment} == set(list_environments())
