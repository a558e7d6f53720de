"""The pure parts of the playground in a real Chromium, and the headers that its files come with."""

import ast
import asyncio
import re

import pytest

from services.gateway.playground import read_pages

COLOUR = re.compile(r"--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\)")
TEXTS_ON_GROUNDS = {
    "text": "page card sunk wash",
    "soft": "page card sunk",
    "accent": "page card sunk",
    "on-accent": "accent",
    "bad": "bad-wash",
    "warn-text": "warn-wash",
}
WEEKS = [f"2026-10-{day:02d}" for day in range(1, 15)]


@pytest.fixture
async def call(open_gateway, browser):
    """(module, function, arguments…) -> what the function of that module returns, or the text of its error."""

    def run(module, function, *arguments):
        script = """
            const [path, name, args, done] = arguments;
            import(path).then((module) => module[name](...args)).then(done, (error) => done(`error: ${error.message}`));
        """
        return browser.execute_async_script(script, f"/web/{module}", function, arguments)

    async def call_in_thread(*arguments):
        return await asyncio.to_thread(run, *arguments)

    async with open_gateway() as gateway:
        await asyncio.to_thread(browser.get, str(gateway.rest.base_url))
        yield call_in_thread


def lines(*rows):
    return "\n".join(rows)


def plain(separator=","):
    return [f"{day}{separator}{i}" for i, day in enumerate(WEEKS)]


async def test_csv_as_people_have_it(call):
    expected = {"start": "2026-10-01", "values": list(range(14)), "notes": ["14 days"]}
    tabbed = ["\ufeffDate\tValue", *plain("\t")]
    quoted = [f'"{day}","{i}"' for i, day in enumerate(WEEKS)]
    named = ["id,y,ds", *(f"a,{i},{day}T00:00:00" for i, day in enumerate(WEEKS))]
    for text in (lines(*plain()), lines("ds,y", *plain(), ""), "\r\n".join(tabbed), lines(*quoted), lines(*named)):
        assert await call("forecast/csv.js", "readSeries", text) == expected
    commas = await call("forecast/csv.js", "readSeries", lines(*(f"{day};1,5" for day in WEEKS)))
    assert commas["values"] == [1.5] * 14


async def test_csv_that_needs_mending(call):
    rows = plain()
    rows[3] = f"{WEEKS[3]},"
    mixed = [*rows[7:], *rows[:5], *rows[6:7], rows[0]]  # not sorted, without day 5, and day 0 twice
    read = await call("forecast/csv.js", "readSeries", lines(*mixed))
    assert read["values"] == [0, 1, 2, None, 4, None, *range(6, 14)]
    assert read["notes"] == ["14 days", "1 repeated line left out", "sorted by date", "2 days without a value"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([""], "There are no lines."),
        (["2026-10-01 7"], "Line 1: no comma, semicolon or tab between date and value"),
        (["ds,y", "2026-10-01,7", "", "01.10.2026,8"], "Line 4: '01.10.2026' is not a date; YYYY-MM-DD"),
        (["2026-06-31,7"], "Line 1: '2026-06-31' is not a date; YYYY-MM-DD"),
        (["2026-10-01,7", "2026-10-02,1.2.3"], "Line 2: '1.2.3' is not a number"),
        (["2026-10-01,7", "2026-10-01,8"], "Line 2: 2026-10-01 has another value already, in line 1"),
        (plain()[:7], "The series has 7 values; at least 8."),
        (["1900-01-01,7", "2026-10-01,8"], "The series spans 46295 days; at most 20000."),
    ],
)
async def test_csv_that_is_refused(call, rows, told):
    assert await call("forecast/csv.js", "readSeries", lines(*rows)) == f"error: {told}"


async def test_axes_have_round_numbers(call):
    assert await call("forecast/scale.js", "ticks", 3, 97) == [0, 20, 40, 60, 80, 100]
    assert await call("forecast/scale.js", "ticks", -0.3, 0.2, 5) == [-0.3, -0.2, -0.1, 0, 0.1, 0.2]
    assert await call("forecast/scale.js", "ticks", 5, 5) == [5, 6]
    assert await call("forecast/scale.js", "dayTicks", 0, 62, 10) == [6, 13, 20, 27, 34, 41, 48, 55, 62]
    runs = await call("forecast/scale.js", "runs", 10, [1, None, None, 2, 3])
    assert [[point["day"] for point in run] for run in runs] == [[10], [13, 14]]


async def test_snippets_quote_what_is_special(call):
    place = {"origin": "https://ai.example", "grpcTarget": "ai.example:8500", "hasKey": True}
    body = {"series": [{"id": 'it\'s "x" $HOME', "start": "2026-10-01", "values": [1, None]}]}
    body |= {"horizon": 7, "quantiles": [0.5]}
    made = await call("snippets.js", "forecastSnippets", place, body)
    assert """it'\\''s""" in made["curl"] and "$SEQSERVE_API_KEY" in made["curl"]
    compile(made["python"], "snippet", "exec")
    literal = next(line for line in made["python"].splitlines() if line.startswith("body = "))
    assert ast.literal_eval(literal.removeprefix("body = ")) == body
    assert "tls=Tls()" in made["client"]
    compile(made["client"], "snippet", "exec")
    clip = await call("snippets.js", "videoSnippets", place, 'a "b".mp4')
    compile(clip["python"], "snippet", "exec")


async def test_files_come_with_a_strict_policy_and_are_kept_by_browsers(open_gateway):
    async with open_gateway() as gateway:
        for path in ("/", *(f"/web/{name}" for name in read_pages())):
            answer = await gateway.rest.get(path)
            assert answer.status_code == 200, path
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            again = await gateway.rest.get(path, headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        kinds = {name: page.content_type.split(";")[0] for name, page in read_pages().items()}
        assert kinds["index.html"] == "text/html" and kinds["main.js"] == "text/javascript"
        for path in ("/web/", "/web/none.js", "/web/../playground.py", "/web/%2e%2e/playground.py"):
            assert (await gateway.rest.get(path)).status_code == 404


async def test_services_tell_what_they_are(open_gateway, serving):
    async with open_gateway() as gateway:
        answer = (await gateway.rest.get("/v1/services")).json()
        assert answer["grpc_port"] == gateway.settings.grpc_port
        assert answer["max_request_bytes"] == gateway.settings.max_request_bytes
        assert answer["services"] == {
            name: {"ready": True, "model": name, "version": "1", "classes": []}
            for name in ("sketch", "forecast", "video")
        }
        gateway.inference.clients["video"].models = None
        video = (await gateway.rest.get("/v1/services")).json()["services"]["video"]
        assert video == {"ready": False, "model": "video", "version": "", "classes": []}
        assert "/v1/services" in (await gateway.rest.get("/openapi.json")).json()["paths"]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_texts_stand_out_from_their_grounds(theme):
    style = read_pages()["look.css"].content.decode()
    colours = {name: values[theme] for name, *pair in COLOUR.findall(style) for values in [pair]}
    for text, grounds in TEXTS_ON_GROUNDS.items():
        for ground in grounds.split():
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def contrast(one, other):
    """WCAG 2: from 1 (the same) to 21 (black on white)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
