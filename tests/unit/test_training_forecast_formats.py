"""Files of daily series: every layout of real data, and what is refused, with the words that say why."""

import gzip
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.forecast.formats.columns import Columns
from training.forecast.formats.daily import Daily, to_daily
from training.forecast.formats.files import read_series
from training.forecast.formats.ragged import DEFAULT_START
from training.recipe.config import from_dict, to_dict
from training.recipe.errors import DataError

Read = Callable[..., list[Daily]]
TOLD_BY_CONTENT = Columns()
TSF = """# a comment
@relation tiny
@attribute series_name string
@attribute state string
@attribute start_timestamp date
@frequency daily
@horizon 7
@missing true
@equallength false
@data
T1:NSW:1996-03-18 00-00-00:1,2,?,3
T2:VIC:1996-03-20 12-00-00:5.5,-6
"""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The series of a file with this content."""

    def write_and_read(content: str | bytes, columns: Columns = TOLD_BY_CONTENT, name: str = "mine.csv") -> list[Daily]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (series,) = read_series(path, columns).values()
        return series

    return write_and_read


def day(text: str) -> int:
    return int(np.datetime64(text, "D").astype(int))


def plain(series: list[Daily]) -> list[tuple[str, str, list[float | None]]]:
    """Name, first day and values, None where missing."""
    return [
        (one.name, str(np.datetime64(one.first_day, "D")), [None if math.isnan(v) else v for v in one.values.tolist()])
        for one in series
    ]


def dates(count: int, step: int = 1, first: str = "2019-05-01") -> np.ndarray:
    return np.datetime64(first, "D") + step * np.arange(count)


def csv_of(times: np.ndarray, form: str = "%Y-%m-%d") -> str:
    texts = pd.DatetimeIndex(times).strftime(form)
    return "ds,y\n" + "".join(f"{text},{k}\n" for k, text in enumerate(texts))


# real data


def test_reads_the_data_pack_exactly(shared_data: Path) -> None:
    read = read_series(shared_data / "series")
    count = 0
    for stem, series in read.items():
        frame = pd.read_csv(shared_data / "series" / f"{stem}.csv", parse_dates=["ds"]).set_index("ds").asfreq("D")
        assert [one.name for one in series] == [stem if name == "y" else name for name in frame.columns]
        for one, name in zip(series, frame.columns, strict=True):
            assert one.first_day == day(str(frame.index[0].date()))
            np.testing.assert_array_equal(one.values, frame[name].to_numpy(np.float64))
            count += 1
    assert (len(read), count) == (9, 119)
    assert "INDEX" not in read


def test_business_days_of_a_real_series_are_gaps(shared_data: Path, read: Read) -> None:
    frame = pd.read_csv(shared_data / "series" / "cta_rail.csv")
    weekdays = frame[pd.to_datetime(frame.ds).dt.dayofweek < 5]
    (one,) = read(weekdays.to_csv(index=False))
    assert np.isnan(one.values).mean() == pytest.approx(2 / 7, abs=1e-3)
    np.testing.assert_array_equal(one.values[~np.isnan(one.values)], weekdays.y)


@pytest.mark.parametrize(
    ("rule", "word"), [("W", "weekly"), ("2W", "fortnightly"), ("MS", "monthly"), ("BME", "monthly")]
)
def test_a_real_series_at_another_frequency_is_told(shared_data: Path, read: Read, rule: str, word: str) -> None:
    frame = pd.read_csv(shared_data / "series" / "cta_rail.csv", parse_dates=["ds"]).set_index("ds")
    with pytest.raises(DataError, match=rf"mine.csv, series 'mine': a value about every \d+ days, so it is {word}"):
        read(frame.resample(rule).sum().to_csv())


# layouts


def test_rows_may_be_unsorted_repeated_missing_and_blank(read: Read) -> None:
    text = "ds,y\n2019-05-05,5\n2019-05-01,\n2019-05-02,2\n\n2019-05-02,2.0\n2019-05-03,NA\n2019-05-02,\n2019-05-06,?\n"
    assert plain(read(text)) == [("mine", "2019-05-02", [2, None, None, 5])]


def test_a_long_table_gives_a_series_per_id(read: Read) -> None:
    text = "unique_id,ds,y,price\nb,2019-05-02,4,x\na,2019-05-01,1,x\nb,2019-05-01,3,x\na,2019-05-02,2,x\n"
    assert plain(read(text)) == [("b", "2019-05-01", [3, 4]), ("a", "2019-05-01", [1, 2])]


def test_a_long_table_with_several_values_gives_a_series_per_id_and_column(read: Read) -> None:
    text = "series,date,sold,returned\na,2019-05-01,1,5\na,2019-05-02,2,6\nb,2019-05-01,3,7\n"
    names = ["a/sold", "a/returned", "b/sold", "b/returned"]
    assert [(one.name, one.values.tolist()) for one in read(text)] == list(
        zip(names, [[1, 2], [5, 6], [3], [7]], strict=True)
    )


def test_a_wide_table_gives_a_series_per_column(read: Read) -> None:
    text = "Date\tNorth\tSouth\n2019-05-01\t1\t\n2019-05-02\t2\t3\n2019-05-03\t\t4\n"
    assert plain(read(text)) == [("North", "2019-05-01", [1, 2]), ("South", "2019-05-02", [3, 4])]


def test_named_columns_are_taken_whatever_they_are_called(read: Read) -> None:
    text = "when,shop,sold,y\n20190501,n,1,9\n20190502,n,2,9\n20190501,s,3,9\n20190502,s,4,9\n"
    columns = Columns(date="when", series="shop", values=("sold",))
    assert plain(read(text, columns)) == [("n", "2019-05-01", [1, 2]), ("s", "2019-05-01", [3, 4])]


def test_a_date_column_without_a_name_and_row_numbers_are_told_by_content(read: Read) -> None:
    frame = pd.DataFrame({"y": [1.0, 2.0]}, index=pd.DatetimeIndex(["2019-05-01", "2019-05-02"]))
    assert plain(read(frame.to_csv())) == [("mine", "2019-05-01", [1, 2])]
    assert plain(read(frame.reset_index(names="when").to_csv())) == [("mine", "2019-05-01", [1, 2])]
    assert [one.name for one in read(",ds,a,b\n0,2019-05-01,1,2\n1,2019-05-02,3,4\n")] == ["a", "b"]
    numbered = "id,date,sold\n1,2019-05-01,7\n2,2019-05-02,8\n"
    assert plain(read(numbered)) == [("sold", "2019-05-01", [7, 8])]
    assert [one.name for one in read(numbered, Columns(series="id"))] == ["1", "2"]
    assert [one.name for one in read("id,date,sold\nshop,2019-05-01,7\n")] == ["shop"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ds,y\n", "has a header and no rows"),
        ("", "the first line is ''; expected names of columns"),
        ("just text\nmore", "the first line is 'just text'"),
        ("2019-05-01,1\n2019-05-02,2\n", "'2019-05-01' stands in the first line"),
        ("ds,y,y\n2019-05-01,1,2\n", "two columns 'y'"),
        ("ds,note\n2019-05-01,rain\n", "line 2, column 'note': 'rain' is no number"),
        ("ds,y\n2019-05-01,1\n,2\n", "line 3: '' is no date"),
        ("ds,y\n\n2019-05-01,1\n\nTotal,1\n", "line 5: 'Total' is no date"),
        ("ds,y\n2019-05-01,1\n2019-05-02,2,3\n", "line 3: more than 2 cells"),
        ("ds,y\n2019-05-01,1\n2019-05-02,2,3,4\n", "is no CSV: .*line 3"),
        ('ds,y\n2019-05-01,"1\n', "is no CSV"),
        ("date,ds,y\n2019-05-01,2019-05-01,1\n", "the columns 'date', 'ds' may all be the dates; say which"),
        ("a,b,y\n2019-05-01,2019-05-01,1\n", "the columns 'a', 'b' may all be the dates"),
        ("id,series,ds,y\n1,2,2019-05-01,1\n", "the columns 'id', 'series' may all name the series"),
        ("shop,sold\nn,1\n", "has the columns shop, sold; expected one with dates"),
        ("unique_id,ds,y\na,2019-05-01,1\n,2019-05-02,1\n,2019-05-03,1\n", "line 3, column 'unique_id': is empty"),
        ("ds,a,b\n2019-05-01,1,\n2019-05-02,2,\n", "series 'b': has no value"),
        ("ds,y\n2019-05-01,1\n2019-05-02,inf\n", "series 'mine': the value of 2019-05-02 is inf"),
        ("ds,y\n2019-05-01,1\n2019-05-02,1e999\n", "2019-05-02 is inf"),
        ("ds,y\n2019-05-01,1\n2019-05-01,2\n", "two values for 2019-05-01, 1 and 2; expected one"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(read: Read, text: str, says: str) -> None:
    with pytest.raises(DataError, match=f"mine.csv.*{says}"):
        read(text)


def test_a_named_column_that_is_not_there_is_refused_with_the_nearest(read: Read) -> None:
    with pytest.raises(DataError, match=r"no column 'sale' \(values\); did you mean 'sales'"):
        read("ds,sales\n2019-05-01,1\n", Columns(values=("sale",)))


def test_columns_are_a_configuration() -> None:
    columns = Columns(date="when", values=("a", "b"), start=date(2019, 5, 1))
    assert from_dict(Columns, to_dict(columns)) == columns


# dates


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%Y%m%d",
        "%Y/%m/%d",
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%d/%m/%Y",
        "%Y-%m-%d 00:00:00",
        "%Y-%m-%dT00:00:00.000Z",
        "%Y-%m-%d 00:00+02:00",
        "%m/%d/%Y 12:00:00 AM",
        "%m/%d/%Y 12:30 PM",
        "%Y-%m-%d 23:59:59",
    ],
)
def test_dates_are_read_however_they_are_written(read: Read, form: str) -> None:
    (one,) = read(csv_of(dates(40), form))
    assert (one.first_day, one.values.tolist()) == (day("2019-05-01"), list(range(40)))


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["01/05/2019", "02/05/2019"], "line 2: '01/05/2019' can be read in two ways.*write.*2019-05-01"),
        (["13/05/2019", "05/14/2019"], "'13/05/2019' in line 2 has the day first, '05/14/2019' in line 3 the month"),
        (["2019-05-01", "2019-02-29"], "line 3: there is no date '2019-02-29'"),
        (["2019-05-01 24:00", "2019-05-02 24:00"], "line 2: there is no date '2019-05-01 24:00'"),
        (["2019-05", "2019-06"], "line 2: '2019-05' is a month, a quarter or a year, and no day"),
        (["2019Q1", "2019Q2"], "'2019Q1' is a month, a quarter or a year"),
        (["1.5.19", "2.5.19"], "line 2: '1.5.19' is no date; expected daily dates such as 2019-05-01"),
        (["0019-05-01", "0019-05-02"], "the date 0019-05-01; expected 1800-01-01 to 2199-12-31"),
        (["2019-05-01", "2019-05-02", "9999-12-31"], "the date 9999-12-31; expected"),
        (["2019-05-01", "2019-05-02", "2140-01-01"], "days from 2019-05-01 to 2140-01-01.*Is 2140-01-01 right?"),
        (["1819-05-01", "2019-05-02", "2019-05-03"], "Is 1819-05-01 right?"),
    ],
)
def test_dates_that_are_wrong_or_ambiguous_are_refused(read: Read, cells: list[str], says: str) -> None:
    text = "ds,y\n" + "".join(f"{cell},{k}\n" for k, cell in enumerate(cells))
    with pytest.raises(DataError, match=f"mine.csv.*{says}"):
        read(text)


def test_local_midnight_across_a_change_of_clocks_is_one_value_per_day(read: Read) -> None:
    text = "ds,y\n2019-03-30T00:00+01:00,1\n2019-03-31T00:00+01:00,2\n2019-04-01T00:00+02:00,3\n"
    assert plain(read(text)) == [("mine", "2019-03-30", [1, 2, 3])]
    utc = "ds,y\n2019-03-29T23:00Z,1\n2019-03-30T23:00Z,2\n2019-03-31T22:00Z,3\n"
    with pytest.raises(DataError, match=r"times of day differ \(2019-03-29 23:00 and 2019-03-31 22:00\).*local clock"):
        read(utc)


# frequency


@pytest.mark.parametrize(("step", "word"), [("1h", "1 hours"), ("15min", "15 minutes"), ("6h", "6 hours")])
def test_values_of_hours_are_refused_with_what_to_do(read: Read, step: str, word: str) -> None:
    times = pd.date_range("2019-05-01", periods=60, freq=step).to_numpy()
    with pytest.raises(DataError, match=f"about every {word} .*sum or average those of a day first"):
        read(csv_of(times, "%Y-%m-%d %H:%M"))


@pytest.mark.parametrize(
    ("times", "word"),
    [
        (dates(3, 7), "weekly"),
        (np.delete(dates(20, 7), [3, 9]), "weekly"),
        (pd.date_range("2019-01-31", periods=12, freq="ME").to_numpy(), "monthly"),
        (pd.date_range("2019-01-01", periods=8, freq="QS").to_numpy(), "quarterly"),
        (pd.date_range("2001-07-04", periods=8, freq=pd.DateOffset(years=1)).to_numpy(), "yearly"),
        (dates(30, 2), "every 2 days"),
    ],
)
def test_longer_steps_are_refused_with_their_name(times: np.ndarray, word: str) -> None:
    with pytest.raises(DataError, match=f"file, series 'a': a value .*{word}"):
        to_daily("a", times, np.arange(len(times), dtype=float), "file")


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.2])
def test_daily_values_with_gaps_stay_daily(kept: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        times = dates(400)[rng.random(400) < kept]
        one = to_daily("a", rng.permutation(times), np.ones(len(times)), "file")
        assert np.isfinite(one.values).sum() == len(times)
        assert (one.first_day, len(one.values)) == (day(str(times[0])), int((times[-1] - times[0]).astype(int)) + 1)


def test_one_value_and_two_far_values_are_series() -> None:
    assert to_daily("a", dates(1), np.ones(1), "file").values.tolist() == [1]
    assert to_daily("a", np.array([18_002, 18_000]), np.array([1.0, 2.0]), "file").first_day == 18_000
    assert len(to_daily("a", dates(2, 7), np.ones(2), "file").values) == 8


# numbers


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1234,5", "7", "-0,25"], [1234.5, 7, -0.25]),
        (["1,234", "1,5"], [1.234, 1.5]),  # the second tells what the comma is
        (["0,123", "4"], [0.123, 4]),
        (["1.234", "+1e3"], [1.234, 1000]),
    ],
)
def test_decimal_commas_are_read_where_they_can_be_nothing_else(
    read: Read, cells: list[str], values: list[float]
) -> None:
    text = "ds;y\n" + "".join(f"2019-05-0{k + 1};{cell}\n" for k, cell in enumerate(cells))
    assert plain(read(text)) == [("mine", "2019-05-01", values)]
    quoted = "ds,y\n" + "".join(f'2019-05-0{k + 1},"{cell}"\n' for k, cell in enumerate(cells))
    assert plain(read(quoted)) == [("mine", "2019-05-01", values)]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["1,234", "2,345"], "line 2, column 'y': '1,234' can be read in two ways; write 1234 or 1.234"),
        (["1,5", "2.5"], "line 2, column 'y': '1,5' is no number"),
        (["1.234,5", "2"], "'1.234,5' has thousands separators; write digits"),
        (["7", "1,234.5"], "line 3, column 'y': '1,234.5' has thousands separators"),
        (["1 234", "2"], "'1 234' has thousands separators"),
        (["1'234'567", "2"], "'1'234'567' has thousands separators"),
        (["1_234", "2"], "'1_234' has thousands separators"),
        (["12%", "2"], "'12%' is no number"),
        (["0x1F", "2"], "'0x1F' is no number"),
    ],
)
def test_other_ways_to_write_numbers_are_refused(read: Read, cells: list[str], says: str) -> None:
    text = "ds;y\n" + "".join(f"2019-05-0{k + 1};{cell}\n" for k, cell in enumerate(cells))
    with pytest.raises(DataError, match=f"mine.csv, {says}" if says.startswith("line") else says):
        read(text)


# M4


M4 = '"V1","V2","V3","V4","V5"\n"D1","1","2","","4"\n"D2","5.5","6",,\n"D3","7"\n'
INFO = "M4id,category,Frequency,Horizon,SP,StartingDate\nY1,Macro,1,6,Yearly,01-01-79 12:00\n"
INFO_DAILY = INFO + "D1,Macro,1,14,Daily,07-03-94 12:00\nD2,Macro,1,14,Daily,2010-05-06 12:00:00\n"


def test_ragged_rows_start_on_a_monday_or_where_the_user_says(read: Read) -> None:
    assert DEFAULT_START.weekday() == 0
    assert plain(read(M4)) == [
        ("D1", "2000-01-03", [1, 2, None, 4]),
        ("D2", "2000-01-03", [5.5, 6]),
        ("D3", "2000-01-03", [7]),
    ]
    start = Columns(start=date(2019, 5, 1))
    assert {one.first_day for one in read(M4, start)} == {day("2019-05-01")}


@pytest.mark.parametrize("above", [False, True])
def test_ragged_rows_start_where_the_info_file_says(tmp_path: Path, read: Read, above: bool) -> None:
    info = tmp_path / "M4-info.csv"
    info.write_text(INFO_DAILY + "D3,Macro,1,14,Daily,01-02-17 12:00\n")
    if above:
        (tmp_path / "Train").mkdir()
    starts = [str(np.datetime64(one.first_day, "D")) for one in read(M4, name="Train/d.csv" if above else "d.csv")]
    assert starts == ["1994-03-07", "2010-05-06", "2017-02-01"]
    told = read(M4, Columns(start=date(2019, 5, 1)), name="Train/d.csv" if above else "d.csv")
    assert {one.first_day for one in told} == {day("2019-05-01")}


def test_an_info_file_that_does_not_fit_is_refused(tmp_path: Path, read: Read) -> None:
    info = tmp_path / "M4-info.csv"
    info.write_text(INFO_DAILY)
    with pytest.raises(DataError, match=r"series 'D3' is no daily one of M4-info\.csv"):
        read(M4)
    assert len(read(M4, Columns(start=date(2019, 5, 1)))) == 3
    info.write_text(INFO_DAILY.replace("07-03-94", "07-13-94"))
    with pytest.raises(DataError, match=r"M4-info.csv, D1: starts '07-13-94 12:00'; expected DD-MM-YY"):
        read(M4)
    info.write_text("id,start\n")
    with pytest.raises(DataError, match=r"M4-info.csv: has no column"):
        read(M4)
    info.write_text("M4id,category,Frequency,Horizon,SP\nD1,Macro,1,14,Daily\n")  # as M4_Card_upload has it
    assert read(M4)[0].first_day == day("2000-01-03")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (M4 + '"D1","3"\n', "line 5: a second series 'D1'"),
        (M4 + '"D4","1","2","3","4","5"\n', "line 5: 6 cells; expected at most as many as in the first line, 5"),
        (M4 + '"","1"\n', "line 5: the first cell is empty"),
        (M4 + '"D4","1","x"\n', "line 5, value 2: 'x' is no number"),
        (M4 + '"D4"\n', "series 'D4': has no value"),
        ("id,a,b\nD1,1,2\n", "has the columns id, a, b; expected one with dates"),
    ],
)
def test_ragged_rows_that_are_no_series_are_refused(read: Read, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(text)


def test_ragged_rows_of_another_frequency_are_refused_by_name(read: Read) -> None:
    with pytest.raises(DataError, match=r"Hourly-train.csv: is hourly by its name, and has no dates"):
        read(M4, name="Hourly-train.csv")


# Monash


def test_reads_tsf_whatever_the_file_is_called(read: Read) -> None:
    expected = [("T1", "1996-03-18", [1, 2, None, 3]), ("T2", "1996-03-20", [5.5, -6])]
    assert plain(read(TSF, name="nn5.tsf")) == expected
    assert plain(read(TSF.replace("\n", "\r\n"), name="nn5.csv")) == expected
    assert plain(read(TSF + "\n# the end\n", name="nn5.tsf")) == expected


def test_tsf_of_nn5_is_the_csv_of_nn5(shared_data: Path, read: Read) -> None:
    (wide,) = read_series(shared_data / "series" / "nn5_daily.csv").values()
    head = TSF.replace("@attribute state string\n", "").partition("T1")[0]
    rows = [f"{one.name}:1996-03-18 00-00-00:{','.join(str(v) for v in one.values)}" for one in wide]
    again = read(head + "\n".join(rows).replace("nan", "?"), name="nn5.tsf")
    for one, other in zip(wide, again, strict=True):
        assert (one.name, one.first_day) == (other.name, other.first_day)
        np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("daily", "weekly", "line 10: @frequency weekly; expected daily"),
        ("daily", "half_hourly", "line 10: @frequency half_hourly"),
        ("@frequency daily\n", "", "line 9: no @frequency before @data"),
        ("@attribute start_timestamp date\n", "", "line 9: 0 times '@attribute start_timestamp' before @data"),
        ("@attribute series_name string\n", "", "0 times '@attribute series_name'"),
        ("@attribute state string", "@attribute state", "line 4: '@attribute state'; expected @attribute NAME string"),
        ("@data\n", "", "line 10: 'T1:NSW:1996-03-18'; expected the header's @ lines until @data"),
        ("NSW:", "", "line 11: 3 fields; expected series_name, state, start_timestamp and values"),
        ("?", "x", "line 11, value 3: 'x' is no number"),
        ("5.5,-6", "5.5,inf", "series 'T2': the value of 1996-03-21 is inf"),
        ("1996-03-20 12-00-00", "20.3.96", "line 12: '20.3.96' is no date"),
        ("T2", "T1", "line 12: a second series 'T1'"),
        ("5.5,-6", "?,?", "series 'T2': has no value"),
        (TSF[TSF.index("T1") :], "", "has no series after @data"),
        (TSF[TSF.index("@data") :], "", "line 10: the file ends without @data"),
    ],
)
def test_tsf_that_lacks_something_is_refused_with_its_line(read: Read, old: str, new: str, says: str) -> None:
    assert old in TSF
    with pytest.raises(DataError, match=f"mine.tsf.*{says}"):
        read(TSF.replace(old, new), name="mine.tsf")


# files and folders


def test_files_are_read_compressed_and_in_other_encodings(read: Read) -> None:
    text = "ds;Köln\n2019-05-01;1\n2019-05-02;2\n"
    expected = [("Köln", "2019-05-01", [1, 2])]
    contents = [text.encode("utf-8-sig"), text.encode("cp1252"), text.encode("utf-16"), gzip.compress(text.encode())]
    for content in contents:
        assert plain(read(content)) == expected
    assert plain(read(text.replace("\n", "\r"))) == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(40), "a zip archive or an Excel workbook; unpack it"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is no text but binary"),
        (gzip.compress(b"ds,y\n2019-05-01,1\n" * 50)[:-12], "cannot be read"),
        (b"ds,y\n2019-05-01,\x81\n", "is no text in UTF-8, UTF-16 or Windows-1252"),
    ],
)
def test_files_that_are_no_text_are_refused(read: Read, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=f"mine.csv: {says}"):
        read(content)


def test_a_folder_gives_its_files_but_those_about_the_others(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "information.csv"):
        (tmp_path / name).write_text("ds,y\n2019-05-01,1\n")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(TSF.encode()))
    for name in ("README.md", "INDEX.csv", "M4-info.csv", "license", ".hidden"):
        (tmp_path / name).write_text("about")
    (tmp_path / "deeper").mkdir()
    read = read_series(tmp_path)
    assert {stem: [one.name for one in series] for stem, series in read.items()} == {
        "a": ["a"],
        "b": ["b"],
        "c": ["T1", "T2"],
        "information": ["information"],
    }
    (tmp_path / "a.tsf").write_text(TSF)
    with pytest.raises(DataError, match=r"a.tsf: a second file 'a'"):
        read_series(tmp_path)


def test_a_folder_without_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file or folder"):
        read_series(tmp_path / "nothing")
    (tmp_path / "Train").mkdir()
    with pytest.raises(DataError, match="has no file with series; it has the folders Train"):
        read_series(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes.txt: the first line is 'hello'"):
        read_series(tmp_path)


# damage

LAYOUTS = (
    csv_of(dates(30)),
    csv_of(dates(30), "%d/%m/%Y").replace(",", ";"),
    "unique_id,ds,y\n" + "".join(f"s{k % 2},2019-05-{k // 2 + 1:02},{k / 3}\n" for k in range(20)),
    "Date,North,South\n" + "".join(f"2019-05-{k + 1:02},{k},\n" for k in range(20)) + "2019-05-21,,1\n",
    M4,
    TSF,
)
PIECES = st.sampled_from(
    [
        b"",
        b",",
        b";",
        b"\n",
        b'"',
        b":",
        b"@",
        b"-",
        b"0",
        b"9" * 20,
        b"1e9",
        b"inf",
        b"\x00",
        b"\xff",
        b"2019",
        b" ",
        b"?",
        b"@data",
    ]
)
CUTS = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 30), st.one_of(PIECES, st.binary(max_size=4))), max_size=4
)


@settings(deadline=None, max_examples=250)
@given(layout=st.sampled_from(LAYOUTS), cuts=CUTS, compressed=st.booleans())
def test_damage_gives_series_or_a_clear_refusal(
    tmp_path_factory: pytest.TempPathFactory, layout: str, cuts: list[tuple[int, int, bytes]], compressed: bool
) -> None:
    content = gzip.compress(layout.encode(), mtime=0) if compressed else layout.encode()
    for at, length, piece in cuts:
        at %= len(content) + 1
        content = content[:at] + piece + content[at + length :]
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(content)
    try:
        (series,) = read_series(path).values()
    except DataError as error:
        assert "damaged.csv" in str(error)  # noqa: PT017
        return
    assert series
    for one in series:
        assert one.values.dtype == np.float64
        assert 1 <= len(one.values) <= 36_525
        assert np.isfinite(one.values[[0, -1]]).all()
        assert not np.isinf(one.values).any()
        assert day("1800-01-01") <= one.first_day < day("2200-01-01")


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12)), min_size=1, max_size=60).filter(
        lambda v: any(x is not None for x in v)
    ),
    first=st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    form=st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d 00:00"]),
    seed=st.integers(0, 99),
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, values: list[float | None], first: date, form: str, seed: int
) -> None:
    observed = [k for k, value in enumerate(values) if value is not None]
    steps = np.diff(observed)
    if len(steps) >= 2 and (steps > 1).mean() > 0.5:
        return  # may be of another frequency
    days = pd.date_range(first, periods=len(values)).strftime(form)
    rows = [f"{text},{'' if value is None else repr(value)}\n" for text, value in zip(days, values, strict=True)]
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_text("ds,y\n" + "".join(np.random.default_rng(seed).permutation(rows)))
    ((one,),) = read_series(path).values()
    assert one.first_day == day(str(first)) + observed[0]
    expected = [np.nan if value is None else value for value in values[observed[0] : observed[-1] + 1]]
    np.testing.assert_array_equal(one.values, expected)
