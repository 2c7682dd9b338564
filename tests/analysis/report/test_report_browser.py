"""The report in a real browser, from disk and offline. Skipped, with the reason, if there is no browser."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from analysis.report.page import page
from analysis.report.reading import read
from tests.analysis.images.pictured_ledgers import add_samples
from tests.analysis.written_ledgers import run_row, sweep_rows, trial_row
from tests.patience import PATIENCE_S

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no chromium and chromedriver on the path (apt-get install chromium chromium-driver)",
)

HIGHLIGHTED = "#curves-0 .curve.selected"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for switch in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Chromium leaves a folder behind when it is ended.
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        driver = webdriver.Chrome(options=options, service=Service(DRIVER, env={**os.environ, "TMPDIR": folder}))
        try:
            yield driver
        finally:
            driver.quit()


@pytest.fixture
def opened(browser: webdriver.Chrome, write: Callable[..., Path]) -> Iterator[webdriver.Chrome]:
    """The browser with a report of 40 trials; whatever a test does, the console stays empty."""
    trials, reports = sweep_rows(40, seed=3)
    run = write(trials, reports, [run_row(question="</script><script>window.hurt = 1</script>")])
    path = run / "report.html"
    path.write_text(page([read(run)]))
    sized(browser, 1280, 900)
    browser.get(path.as_uri())
    browser.implicitly_wait(PATIENCE_S)
    browser.find_element(By.CSS_SELECTOR, ".point.front")
    yield browser
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hurt") is None


def sized(browser: webdriver.Chrome, width: int, height: int, scheme: str = "light") -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # A click while the page still glides to its place would meet something else.
    values = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in values.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def one(browser: webdriver.Chrome, selector: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, selector)


@pytest.mark.slow
def test_a_point_shows_its_configuration_and_a_click_its_trial(opened: webdriver.Chrome) -> None:
    point = one(opened, ".point.front")
    label = point.get_attribute("aria-label").split(": ", 1)[1].split(",")[0]
    ActionChains(opened).scroll_to_element(point).move_to_element(point).perform()
    assert label in one(opened, "#front-0 .tip").text
    ActionChains(opened).click(point).perform()
    assert one(opened, ".panel h2").text == label
    assert one(opened, ".panel .one-curve svg")
    assert one(opened, HIGHLIGHTED).get_attribute("data-trial") in one(opened, ".panel").text


@pytest.mark.slow
def test_a_point_of_the_front_shows_its_crop(opened: webdriver.Chrome, write: Callable[..., Path]) -> None:
    levels = [float(4 + place) for place in range(12)]
    trials = [trial_row(0, 21.0, 0.90), trial_row(1, 20.0, 0.95)]
    run = add_samples(write(trials, name="pictured"), {row["trial"]: levels for row in trials})
    path = run / "report.html"
    path.write_text(page([read(run)]))
    opened.get(path.as_uri())
    point = one(opened, ".point.front")
    ActionChains(opened).scroll_to_element(point).move_to_element(point).perform()
    script = "return [...document.querySelectorAll(arguments[0])].map(image => [image.alt, image.naturalWidth])"
    said = [["picture 3, phone image", 20], ["picture 3, network 2", 20], ["picture 3, target", 20]]
    if "conf00000" in (point.get_attribute("data-configuration") or ""):
        said[1][0] = "picture 3, network 1"
    assert opened.execute_script(script, "#front-0 .tip img") == said
    ActionChains(opened).click(point).perform()
    assert len(opened.execute_script(script, ".panel .crops img")) == 6
    button = one(opened, "#images-0 .gallery button")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert button.get_attribute("data-shown") in one(opened, ".panel").text
    assert button.get_attribute("aria-pressed") == "true"
    assert (
        opened.execute_script(
            "return performance.getEntriesByType('resource').filter(own => !own.name.startsWith('data:')).length"
        )
        == 0
    )


@pytest.mark.slow
def test_the_table_is_filtered_sorted_and_opens_a_trial(opened: webdriver.Chrome) -> None:
    search = one(opened, "#trials-0 input[type=search]")
    search.send_keys("completed psnr_db>21")
    rows = opened.find_elements(By.CSS_SELECTOR, "#trials-0 tbody tr")
    scores = [float(row.find_elements(By.TAG_NAME, "td")[2].text) for row in rows]
    assert rows
    assert min(scores) >= 21
    assert all("completed" in row.text for row in rows)
    opened.find_elements(By.CSS_SELECTOR, "#trials-0 th button")[2].click()
    rows = opened.find_elements(By.CSS_SELECTOR, "#trials-0 tbody tr")
    assert [float(row.find_elements(By.TAG_NAME, "td")[2].text) for row in rows] == sorted(scores, reverse=True)
    trial = rows[0].get_attribute("data-trial")
    rows[0].click()
    assert one(opened, HIGHLIGHTED).get_attribute("data-trial") == trial


@pytest.mark.slow
def test_the_keyboard_reaches_the_points_and_their_trials(opened: webdriver.Chrome) -> None:
    opened.execute_script("document.querySelector('.point[tabindex=\"0\"]').focus()")
    first = opened.switch_to.active_element.get_attribute("data-configuration")
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT):  # from the last point there is no way on
        if opened.switch_to.active_element.get_attribute("data-configuration") == first:
            opened.switch_to.active_element.send_keys(key)
    other = opened.switch_to.active_element
    chosen = other.get_attribute("data-configuration")
    assert chosen != first
    other.send_keys(Keys.ENTER)
    assert chosen in one(opened, ".panel").text
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not opened.execute_script("return !document.querySelector('.panel').hidden")
    assert opened.switch_to.active_element.get_attribute("data-configuration") == chosen


@pytest.mark.slow
def test_no_two_ticks_of_an_axis_read_the_same(opened: webdriver.Chrome, write: Callable[..., Path]) -> None:
    """From 18 to 21.5 dB, whole numbers would do for a narrow chart, and a wide one has a tick at every half."""
    narrow = {"spread.psnr_db": 0.1}
    run = write([trial_row(0, 18.5, **narrow), trial_row(1, 21.5, **narrow)], name="ticks")
    path = run / "report.html"
    path.write_text(page([read(run)]))
    opened.get(path.as_uri())
    for width in (390, 700, 1280):
        sized(opened, width, 900)
        script = (
            "return [...document.querySelectorAll('#front-0 svg > text:not(.title)')]"
            ".map(text => [text.getAttribute('text-anchor'), text.textContent])"
        )
        ticks = [tuple(tick) for tick in opened.execute_script(script)]
        assert len(ticks) >= 4
        assert len(set(ticks)) == len(ticks), (width, ticks)


@pytest.mark.slow
def test_nothing_is_wider_than_a_phone_and_the_dark_page_is_dark(opened: webdriver.Chrome) -> None:
    sized(opened, 390, 844, "dark")
    width, inner = opened.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner == 390
    color = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in color[4:-1].split(",")) < 60
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0
