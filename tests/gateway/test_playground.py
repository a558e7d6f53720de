"""The playground in a real Chromium, over a real gateway and services without a model."""

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from typer.testing import CliRunner

from services.cli import app
from services.runtime.errors import Overloaded
from services.video.transforms import ClipOptions, decode_clip

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 20
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
CSV = "\ufeffDay;Value\n" + "".join(f"2026-10-{day:02d};{100 + day},5\n" for day in range(1, 29) if day != 9)


@dataclass
class Page:
    """The page in a browser, as a person handles it."""

    browser: object
    url: str
    grpc_port: int
    serving: object

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, condition):
        return WebDriverWait(self.browser, TIMEOUT_S, 0.05, [StaleElementReferenceException]).until(
            lambda _: condition()
        )

    def open(self, tab):
        self.find(f"#tab-{tab}").click()

    def best(self, tab):
        """The first label, once there is an answer."""
        return self.wait(lambda: [e.text for e in self.all(f"#{tab}-answer .bars .label")])[0]

    def draw(self, *strokes):
        """Draws strokes of offsets from the middle of the pad, in pixels, by the mouse."""
        for points in strokes:
            mouse = ActionChains(self.browser, duration=5).move_to_element_with_offset(self.find("#pad"), *points[0])
            mouse.click_and_hold()
            for (x0, y0), (x1, y1) in pairwise(points):
                mouse.move_by_offset(x1 - x0, y1 - y0)
            mouse.release().perform()

    def snippet(self, tab, language):
        self.find(f"#{tab}-answer input[value={language}]").click()
        return self.find(f"#{tab}-answer code").text

    def fetched(self):
        return self.browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")


def on_page(**settings):
    """Makes a test of a function (page, folder). It runs in a thread: the gateway's loop must go on meanwhile."""

    def wrap(check):
        async def test(open_gateway, browser, serving, tmp_path):
            chosen = {name: value(tmp_path) if callable(value) else value for name, value in settings.items()}
            async with open_gateway(**chosen) as gateway:
                page = Page(browser, str(gateway.rest.base_url), gateway.settings.grpc_port, serving)
                await asyncio.to_thread(browser.get, page.url)
                await asyncio.to_thread(check, page, tmp_path)
                # A refused request is logged by the browser itself; whatever else is logged is ours, or the policy's.
                assert [entry for entry in browser.get_log("browser") if entry["source"] != "network"] == []
                assert all(name.startswith((page.url, "blob:")) for name in page.fetched())

        return test

    return wrap


@on_page()
def test_predictions_follow_the_pen(page, folder):
    mouse = ActionChains(page.browser, duration=5).move_to_element(page.find("#pad")).click_and_hold()
    mouse.move_by_offset(50, 0).move_by_offset(0, 50).perform()
    assert re.fullmatch(r"\d+ points", page.best("sketch"))  # the pen is still down
    page.wait(lambda: page.best("sketch") == f"{sum(len(s.x) for s in drawing(page))} points")
    ActionChains(page.browser, duration=5).move_by_offset(-40, 0).release().perform()
    page.wait(lambda: page.find("#sketch-answer .cache").text in ("miss", "hit"))  # a whole stroke may be remembered
    assert len(page.all("#sketch-answer .bars li")) == 5
    assert page.find("#sketch-answer .model").text == "sketch · version 1"
    page.draw([(-60, -60), (60, -60)])
    page.wait(lambda: len(drawing(page)) == 2)
    page.find("#undo").click()
    page.wait(lambda: page.find("#sketch-answer .cache").text == "hit")
    assert len(page.all("#pad polyline")) == 1
    page.find("#clear").click()
    assert not page.all("#sketch-answer .bars")
    assert not page.find("#clear").is_enabled()


def drawing(page):
    return page.serving.requests[-1].sketches[0].strokes


@on_page()
def test_an_example_is_drawn_stroke_by_stroke(page, folder):
    Select(page.find("#sketch-example")).select_by_value("Face")
    page.best("sketch")
    page.wait(lambda: len(drawing(page)) == 5)
    strokes = [len(request.sketches[0].strokes) for request in page.serving.requests]
    assert len(set(strokes)) > 1


@on_page()
def test_a_series_is_uploaded_and_forecast(page, folder):
    page.open("forecast")
    (folder / "visits.csv").write_text(CSV)
    page.find("#csv-file").send_keys(str(folder / "visits.csv"))
    page.wait(lambda: page.all("#forecast-answer div.chart .median"))
    sent = page.serving.requests[-1]
    assert sent.series[0].start == "2026-10-01" and sent.series[0].values[0] == 101.5
    assert len(sent.series[0].values) == 28 and sent.series[0].values[8] != sent.series[0].values[8]
    assert "1 day without a value" in page.find("#csv-note").text
    assert len(page.all("#forecast-answer div.chart .band")) == 2
    assert len(page.all("#forecast-answer div.chart .history")) == 2  # the gap is one
    chart = page.find("#forecast-answer div.chart")
    chart.send_keys(Keys.ARROW_RIGHT)
    assert "95 %" in page.find(".tip").text
    chart.send_keys(Keys.ARROW_LEFT)
    assert page.find(".tip b").text == "Wed, 28 Oct 2026"
    page.find("#forecast-answer summary").click()
    assert len(page.all("#forecast-answer tbody tr")) == 7


@on_page()
def test_a_clip_is_uploaded_and_its_frames_are_shown(page, folder):
    page.open("video")
    Select(page.find("#clip-example")).select_by_value("pan right")
    page.best("video")
    page.wait(lambda: len(page.all("#frames canvas")) == 8)
    content = page.serving.requests[-1].clips[0].content
    frames = decode_clip(content, ClipOptions(frames=16, height=64, width=64, fps=8), "clip")
    assert frames[0].std() > 20 and abs(frames[0].astype(int) - frames[-1]).mean() > 5  # a scene, and it moves
    (folder / "my clip.webm").write_bytes(content)
    page.find("#clip-file").send_keys(str(folder / "my clip.webm"))
    page.wait(lambda: "my clip.webm" in page.find("#clip-note").text)
    page.wait(lambda: page.find("#video-answer .cache").text == "hit")  # the same bytes as before
    assert page.best("video") == f"{len(content)} bytes"
    for language in ("curl", "python", "client"):
        assert f"{len(content)} bytes" in run_snippet(page, "video", language, folder)


@on_page(cache_local_bytes=0)  # so that each call reaches the service
def test_snippets_repeat_the_call(page, folder):
    page.draw([(-60, -60), (60, -60), (60, 60)], [(0, 0), (10, 10)])
    code = page.find("#sketch-answer code")
    page.wait(lambda: code.text.count("]],[[") == 1 and page.find("#sketch-answer .cache").text == "miss")
    check_snippets(page, "sketch", folder)
    page.open("forecast")
    page.find("#csv").send_keys(CSV.replace("\ufeff", ""))
    page.find("#forecast-run").click()
    page.wait(lambda: page.all("#forecast-answer div.chart .median"))
    check_snippets(page, "forecast", folder)


def check_snippets(page, tab, folder):
    expected = page.serving.requests[-1]
    for language in ("curl", "python", "client"):
        run_snippet(page, tab, language, folder)
        sent = page.serving.requests[-1]
        assert sent is not expected
        for series in getattr(sent, "series", ()):
            series.id = expected.series[0].id  # the light client gives a single series no name
        assert sent.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True), language


def run_snippet(page, tab, language, folder, key=""):
    code = page.snippet(tab, language)
    command = ["bash", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "SEQSERVE_API_KEY": key}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout, done.stderr
    return done.stdout


@on_page()
def test_errors_are_told_in_words(page, folder):
    page.open("forecast")
    page.find("#csv").send_keys("ds,y\n2026-10-01,7\n2026-10-02,many\n")
    page.find("#forecast-run").click()
    assert "Line 3: 'many' is not a number" in page.wait(lambda: page.find("#forecast-answer .error").text)
    page.serving.error = Overloaded("too many rows wait", retry_after_s=3)
    Select(page.find("#series-example")).select_by_index(1)
    told = page.wait(
        lambda: "Too many" in page.find("#forecast-answer .error").text and page.find("#forecast-answer").text
    )
    assert "the forecast service is at its limit" in told
    page.serving.error = None
    page.find("#forecast-run").click()
    page.wait(lambda: page.all("#forecast-answer div.chart .median"))
    assert not page.find("#forecast-answer .error").is_displayed()


@on_page(keys_file=lambda folder: make_keys(folder))
def test_a_key_is_asked_for_and_kept_for_this_tab_only(page, folder):
    key = (folder / "key.txt").read_text()
    page.wait(lambda: page.find("#key-form").is_displayed())
    page.draw([(-60, -60), (60, -60), (60, 60)])
    assert "An API key is needed" in page.wait(lambda: page.find("#sketch-answer .error").text)
    page.find("#key").send_keys(key, Keys.ENTER)
    page.best("sketch")
    assert not page.find("#key-form").is_displayed()
    stored = page.browser.execute_script("return JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert json.loads(stored) == [{}, {"seqserve-key": key}]
    for language in ("curl", "python", "client"):
        assert key not in page.snippet("sketch", language)
        assert "points" in run_snippet(page, "sketch", language, folder, key)


def make_keys(folder):
    file = folder / "keys.json"
    made = CliRunner().invoke(app, ["keys", "create", "page", "--file", str(file)])
    (folder / "key.txt").write_text(made.output.strip())
    return str(file)


@on_page()
def test_the_keyboard_is_enough(page, folder):
    keys = lambda *pressed: ActionChains(page.browser).send_keys(*pressed).perform()  # noqa: E731
    focused = lambda: page.browser.switch_to.active_element  # noqa: E731
    reach(page, "tab-sketch")
    keys(Keys.TAB, Keys.TAB)
    assert focused().get_attribute("id") == "pad"
    keys(" ", *[Keys.ARROW_RIGHT] * 5, *[Keys.ARROW_DOWN] * 5, " ")
    assert page.best("sketch")
    page.wait(lambda: [len(stroke.x) for stroke in drawing(page)] == [11])
    page.find("#tab-sketch").send_keys(Keys.ARROW_RIGHT)
    assert focused().get_attribute("id") == "tab-forecast" and page.find("#forecast").is_displayed()
    keys(Keys.END)
    assert focused().get_attribute("id") == "tab-video" and page.find("#video").is_displayed()
    keys(Keys.ARROW_RIGHT)
    assert focused().get_attribute("id") == "tab-sketch" and not page.find("#video").is_displayed()


def reach(page, element_id, most=12):
    for _ in range(most):
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        if page.browser.switch_to.active_element.get_attribute("id") == element_id:
            return
    pytest.fail(f"{most} tabs do not reach {element_id}")


@on_page()
def test_the_theme_is_remembered(page, folder):
    colour = lambda: page.browser.execute_script("return getComputedStyle(document.body.parentNode).backgroundColor")  # noqa: E731
    page.find("#theme").click()
    light = colour()
    page.find("#theme").click()
    dark = colour()
    assert light != dark
    page.browser.refresh()
    assert colour() == dark


@on_page()
def test_a_phone_has_one_column_and_targets_for_fingers(page, folder):
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    for tab, example in (("sketch", "sketch-example"), ("forecast", "series-example"), ("video", None)):
        page.open(tab)
        if example:
            Select(page.find(f"#{example}")).select_by_index(1)
            page.wait(lambda tab=tab: page.find(f"#{tab}-answer .facts").text)
        width = page.browser.execute_script("return document.documentElement.scrollWidth")
        assert width == PHONE["width"], tab
        small = [
            (e.get_attribute("id") or e.text, e.size)
            for e in page.all("button, select, .button, summary, .segments label, nav a")
            if e.is_displayed() and min(e.size["height"], e.size["width"]) < 44
        ]
        assert not small, tab


@on_page()
def test_the_camera_is_recorded(page, folder):
    page.open("video")
    page.find("#record").click()
    page.best("video")
    page.wait(lambda: len(page.all("#frames canvas")) == 8)
    content = page.serving.requests[-1].clips[0].content
    assert decode_clip(content, ClipOptions(frames=16, height=64, width=64, fps=8), "clip").std() > 5
    assert "camera.webm" in page.snippet("video", "curl")


@on_page()
def test_the_banner_tells_when_the_gateway_is_gone(page, folder):
    page.wait(lambda: page.find("#status-text").text == "3 of 3 ready")
    assert not page.find("#banner").is_displayed()
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline | {"offline": True})
    page.wait(lambda: "cannot be reached" in page.find("#banner").text)
    page.draw([(-60, -60), (60, -60)])
    assert "cannot be reached" in page.wait(lambda: page.find("#sketch-answer .error").text)
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline | {"offline": False})
    page.wait(lambda: not page.find("#banner").is_displayed())


@on_page()
def test_a_call_is_copied(page, folder):
    grant = {"origin": page.url.rstrip("/"), "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.browser.execute_cdp_cmd("Browser.grantPermissions", grant)
    page.draw([(-60, -60), (60, -60)])
    page.best("sketch")
    code = page.snippet("sketch", "python")
    page.find("#sketch-answer .copy").click()
    page.wait(lambda: page.find("#sketch-answer .copy").text == "Copied")
    copied = page.browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied.strip() == code.strip()


@on_page()
def test_a_finger_draws_on_a_phone_and_the_guess_is_in_sight(page, folder):
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    page.browser.refresh()
    pad = page.find("#pad").rect
    touch = lambda kind, *points: page.browser.execute_cdp_cmd(  # noqa: E731
        "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
    )
    left, top = pad["x"] + 60, pad["y"] + 60
    touch("touchStart", (left, top))
    for i in range(1, 6):
        touch("touchMove", (left + 20 * i, top + 10 * i))
    guess = page.wait(lambda: page.find("#guess").text and page.find("#guess"))
    assert guess.rect["y"] + guess.rect["height"] < PHONE["height"]
    assert page.browser.execute_script("return scrollY") == 0  # the pad does not scroll the page
    touch("touchEnd")
    page.wait(lambda: page.find("#sketch-answer .cache").text in ("miss", "hit"))


@on_page()
def test_who_wants_less_motion_sees_the_example_at_once(page, folder):
    less = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", less)
    Select(page.find("#sketch-example")).select_by_value("Face")
    page.best("sketch")
    assert {len(request.sketches[0].strokes) for request in page.serving.requests} == {5}
