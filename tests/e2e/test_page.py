"""The playground with the bundled models, in a real Chromium."""

import csv
import json
import re
from itertools import pairwise

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

TIMEOUT_S = 60


@pytest.fixture
def find(platform, browser):
    """The page is open; finds an element of it."""
    browser.get(platform.rest_url)
    yield lambda selector: browser.find_element(By.CSS_SELECTOR, selector)
    assert browser.get_log("browser") == []


@pytest.fixture
def wait(browser):
    """Waits until a function returns something true, and returns that."""
    return lambda condition: WebDriverWait(browser, TIMEOUT_S, 0.1).until(lambda _: condition())


@pytest.mark.parametrize(("name", "index"), [("butterfly", 0), ("ant", 2)])
def test_a_real_drawing_is_drawn_by_mouse_and_recognised(browser, find, wait, real_drawing, name, index):
    strokes = real_drawing(name, index)
    scale = 0.9 * find("#pad").size["width"] / 256  # a stroke that begins beside the pad is none
    seen = []
    for xs, ys, *_ in strokes:
        points = [(round((x - 128) * scale), round((y - 128) * scale)) for x, y in zip(xs, ys, strict=True)]
        mouse = ActionChains(browser, duration=2).move_to_element_with_offset(find("#pad"), *points[0])
        mouse.click_and_hold()
        for (x0, y0), (x1, y1) in pairwise(points):
            mouse.move_by_offset(x1 - x0, y1 - y0)
        mouse.release().perform()
        seen.append(wait(lambda: find("#sketch-answer .result").text))
    wait(lambda: count_strokes(find) == len(strokes) and re.fullmatch("hit|miss", find("#sketch-answer .cache").text))
    assert find("#sketch-answer .bars .label").text == name
    assert len(strokes) == 1 or len(set(seen)) > 1  # the answer followed the pen
    find("#classes-box summary").click()
    assert name in find("#sketch-classes").text.split()


def count_strokes(find):
    """Strokes that the shown answer is about, by the call below it."""
    code = find("#sketch-answer code").text
    return len(json.loads(code[code.index("'{") + 1 : code.rindex("'")])["strokes"])


def test_a_real_series_is_forecast(find, wait, shared_data):
    upload = shared_data / "series" / "cta_rail.csv"
    find("#tab-forecast").click()
    find("#csv-file").send_keys(str(upload))
    wait(lambda: find("#forecast-answer .facts").text)
    find("#forecast-answer summary").click()
    cells = find("tbody").find_elements(By.CSS_SELECTOR, "td:nth-child(2)")
    medians = [float(cell.text.replace(",", "").replace("K", "e3")) for cell in cells]
    with upload.open() as file:
        weeks = [float(row["y"]) for row in csv.DictReader(file)][-28:]
    assert len(medians) == 7 and all(min(weeks) * 0.7 < median < max(weeks) * 1.3 for median in medians)


def test_clips_are_classified(find, wait, photo_clip, tmp_path):
    find("#tab-video").click()
    (tmp_path / "clip.mp4").write_bytes(photo_clip("pan left"))
    find("#clip-file").send_keys(str(tmp_path / "clip.mp4"))
    wait(lambda: "pan left" in first_class(find))
    wait(lambda: len(find("#frames").find_elements(By.CSS_SELECTOR, "canvas")) == 8)
    Select(find("#clip-example")).select_by_value("zoom in")
    wait(lambda: "zoom in" in first_class(find))
    assert "zoom-in.webm" in find("#clip-note").text


def first_class(find):
    return find("#video-answer .result").text.split("\n")[0]
