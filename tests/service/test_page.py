"""The page in a real browser. Needs the package playwright and a Chromium; skipped otherwise."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

JSON = {"Content-Type": "application/json"}
TEXT = "Anna Berg lives in Oslo. Reuters reports from South Africa."
COLOURS = """
hue => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const luminance = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((value) => {
      const c = value / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll("mark, .tag, .label")].map((element) => {
    element.style.setProperty("--hue", hue);
    const {color, backgroundColor} = getComputedStyle(element);
    const [dark, light] = [luminance(color), luminance(backgroundColor)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  });
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    with sync_api.sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, names)), playwright.chromium.executable_path)
        if not Path(found).exists():
            pytest.skip("there is no Chromium: install the system's package chromium")
        browser = playwright.chromium.launch(
            executable_path=found,
            chromium_sandbox=os.name != "posix" or os.geteuid() != 0,
            args=["--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()


@pytest.fixture
def url(server) -> str:
    return f"{server.url}/"


@contextlib.contextmanager
def opened(browser, url, **context: object) -> Iterator[sync_api.Page]:
    """The page in a window of its own. Console messages and requests to other servers fail."""
    with browser.new_context(**context) as window:
        page = window.new_page()
        page.set_default_timeout(10_000)
        messages: list[str] = []
        requests: list[str] = []
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("console", lambda message: messages.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        yield page
        # The browser itself logs a status of 400 or more.
        assert [m for m in messages if not m.startswith("Failed to load resource")] == []
        assert [r for r in requests if not r.startswith(url)] == []


@pytest.fixture
def page(browser, url) -> Iterator[sync_api.Page]:
    with opened(browser, url, permissions=["clipboard-read", "clipboard-write"]) as page:
        yield page


def predict(url: str, text: str) -> dict:
    return httpx.post(f"{url}predict", json={"text": text}).json()


def submit(page: sync_api.Page, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Find entities").click()


def entities(page: sync_api.Page) -> list[list[str]]:
    """The text, label and score of each highlighted entity."""
    return page.locator("mark").evaluate_all(
        """marks => marks.map(mark => [
            mark.firstChild.data,
            mark.querySelector(".tag").firstChild.data,
            mark.querySelector(".score").textContent,
        ])"""
    )


def status(page: sync_api.Page) -> sync_api.Locator:
    return page.get_by_role("status").first


# --- entities --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "😀😀 Anna Berg 👩‍👩‍👧 lives in Oslo. 🇳🇴 Reuters reports from South Africa.",
        "Anna Berg lives\n\n  in 𝒩ordic Oslo.\tReuters reports from Paris.",
        "<img src=x onerror=alert(1)> Anna Berg lives in Oslo. <b>Reuters</b> & Paris",
    ],
    ids=["plain", "emoji", "whitespace", "markup"],
)
def test_entities_are_marked_in_the_text(page, url, text):
    submit(page, text)
    ents = predict(url, text)["ents"]
    assert len(ents) >= 2
    sync_api.expect(status(page)).to_have_text(f"{len(ents)} found")
    assert entities(page) == [[e["text"], e["label"], f"{e['score']:.2f}"] for e in ents]
    without_labels = page.locator("#marked").evaluate(
        """marked => {
            const copy = marked.cloneNode(true);
            copy.querySelectorAll(".tag, .spoken").forEach(element => element.remove());
            return copy.textContent;
        }"""
    )
    assert without_labels == text


@pytest.mark.parametrize("text", ["", "It rained for two days."])
def test_nothing_found(page, text):
    submit(page, text)
    sync_api.expect(status(page)).to_have_text("None found")
    sync_api.expect(page.get_by_role("group", name="Labels shown")).to_be_hidden()


def test_example(page):
    page.get_by_role("button", name="Try an example").click()
    sync_api.expect(page.locator("mark").first).to_be_visible()
    assert page.get_by_label("Text", exact=True).input_value().startswith("On Tuesday")


# --- filters ---------------------------------------------------------------------------


def test_legend_and_filter_by_label(page):
    sync_api.expect(page.locator("#version")).to_contain_text("labels: geo, org, per")
    submit(page, TEXT)
    sync_api.expect(page.locator("#legend")).to_have_text(
        "org: Companies, agencies, institutions, etc. · per: Named person or family."
    )
    sync_api.expect(page.locator(".label")).to_have_text(["geo 2", "org 1", "per 1"])
    page.get_by_role("checkbox", name="geo 2").uncheck()
    sync_api.expect(status(page)).to_have_text("2 of 4 shown")
    assert [label for _, label, _ in entities(page)] == ["per", "org"]
    # The choice remains for the next text.
    submit(page, "Anna Berg lives in Oslo.")
    sync_api.expect(status(page)).to_have_text("1 of 2 shown")
    page.get_by_role("checkbox", name="geo 1").check()
    sync_api.expect(status(page)).to_have_text("2 found")


def test_filter_by_score(page):
    """Entities of an entity ruler have no score, and labels that the network does not know."""
    ents = [
        {"text": "abcd"[i], "label": label, "start": i, "end": i + 1, "score": score}
        for i, (label, score) in enumerate(
            [("per", 0.2), ("per", 0.5), ("per", 0.9), ("brand", None)]
        )
    ]
    answer = {"tokens": ["abcd"], "tags": ["O"], "ents": ents, "labels": ["O", "B-per", "I-per"]}
    page.route("**/predict", lambda route: route.fulfill(json=answer))
    submit(page, "abcd")
    sync_api.expect(status(page)).to_have_text("4 found")
    page.get_by_role("slider", name="Score at least").fill("0.5")
    sync_api.expect(status(page)).to_have_text("3 of 4 shown")
    sync_api.expect(page.locator("mark .tag")).to_have_text(["per 0.50", "per 0.90", "brand"])


# --- copying ---------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [True, False], ids=["clipboard", "plain HTTP"])
def test_copy(page, url, secure):
    if not secure:
        page.evaluate(
            """() => {
                window.clipboard = navigator.clipboard;
                Object.defineProperty(navigator, "clipboard", {value: undefined});
            }"""
        )
    text = 'It\'s "Anna Berg" 😀\nof Oslo; $HOME `id` \\n'
    submit(page, text)
    copied = page.get_by_role("status").nth(1)
    read = "() => (window.clipboard ?? navigator.clipboard).readText()"

    page.get_by_role("button", name="Copy JSON").click()
    sync_api.expect(copied).to_have_text("JSON copied")
    answer = json.loads(page.evaluate(read))
    assert answer == predict(url, text)

    page.get_by_role("button", name="Copy curl").click()
    sync_api.expect(copied).to_have_text("curl copied")
    command = page.evaluate(read)
    assert command.startswith(f"curl -X POST {url}predict ")
    if shutil.which("curl"):
        output = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
        assert json.loads(output) == answer


# --- waiting and errors ----------------------------------------------------------------


def test_loading_state_and_a_newer_text(page):
    held: list[sync_api.Route] = []
    page.route("**/predict", lambda route: route.continue_() if held else held.append(route))
    page.get_by_label("Text", exact=True).fill("Anna Berg")
    page.get_by_role("button", name="Find entities").click()
    button = page.get_by_role("button", name="Finding entities…")
    sync_api.expect(button).to_be_visible()
    sync_api.expect(button).to_be_focused()
    assert page.locator("#result").get_attribute("aria-busy") == "true"

    page.get_by_label("Text", exact=True).fill("Oslo and Paris are far apart.")
    button.click()
    sync_api.expect(status(page)).to_have_text("2 found")
    # The page no longer waits for the older answer.
    late = {"tokens": [], "tags": [], "ents": [], "labels": ["O", "B-per", "I-per"]}
    with contextlib.suppress(sync_api.Error):
        held[0].fulfill(json=late)
    page.wait_for_timeout(200)
    assert [text for text, *_ in entities(page)] == ["Oslo", "Paris"]
    sync_api.expect(page.get_by_role("button", name="Find entities")).to_be_visible()
    assert page.locator("#result").get_attribute("aria-busy") == "false"
    assert page.get_by_role("alert").text_content() == ""


def test_error_of_the_service(page, url):
    """Half a surrogate pair, as in a text that was cut in two."""
    problem = httpx.post(f"{url}predict", content=r'{"text":"Oslo \ud83d"}', headers=JSON).json()
    submit(page, TEXT)
    sync_api.expect(status(page)).to_have_text("4 found")
    page.evaluate("document.getElementById('text').value = 'Oslo \\ud83d'")
    page.get_by_role("button", name="Find entities").click()
    alert = page.get_by_role("alert")
    sync_api.expect(alert).to_contain_text(problem["title"])
    sync_api.expect(alert).to_contain_text(problem["detail"])
    sync_api.expect(page.locator("#result")).to_be_hidden()
    # The next answer removes the error.
    submit(page, TEXT)
    sync_api.expect(status(page)).to_have_text("4 found")
    assert alert.text_content() == ""


def test_error_with_several_fields(page):
    errors = [{"field": "text", "message": "too long"}, {"field": "texts[1]", "message": "empty"}]
    problem = {"title": "Bad Request", "status": 400, "detail": "All of it.", "errors": errors}
    page.route("**/predict", lambda route: route.fulfill(status=400, json=problem))
    submit(page, TEXT)
    items = page.get_by_role("alert").get_by_role("listitem")
    sync_api.expect(items).to_have_text(["text: too long", "texts[1]: empty"])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda route: route.abort(), "The server cannot be reached"),
        (lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"), "status 502"),
        (lambda route: route.fulfill(status=200, body="<h1>Log in</h1>"), "not JSON"),
        (lambda route: route.fulfill(status=500, body="null"), "status 500"),
        (lambda route: route.fulfill(status=429, body='{"errors": {"a": 1}}'), "status 429"),
    ],
    ids=["no network", "proxy", "another page", "null", "another form"],
)
def test_error_between_page_and_service(page, answer, message):
    page.route("**/predict", answer)
    submit(page, TEXT)
    sync_api.expect(page.get_by_role("alert")).to_contain_text(message)
    sync_api.expect(page.get_by_role("button", name="Find entities")).to_be_visible()


# --- for everyone ----------------------------------------------------------------------


def test_by_keyboard_alone(page):
    focused = page.locator("*:focus")
    keyboard = page.keyboard

    def tab(expected: str) -> None:
        """Move on to an element, and check that the focus is visible."""
        keyboard.press("Tab")
        sync_api.expect(focused).to_have_accessible_name(expected)
        outlines = focused.evaluate(
            "e => [e, e.parentElement].map(e => getComputedStyle(e).outlineStyle)"
        )
        assert "solid" in outlines

    sync_api.expect(page.get_by_label("Text", exact=True)).to_be_focused()
    keyboard.type(TEXT)
    keyboard.press("Control+Enter")
    sync_api.expect(status(page)).to_have_text("4 found")
    tab("Find entities")
    tab("Try an example")
    tab("geo 2")
    keyboard.press("Space")
    sync_api.expect(status(page)).to_have_text("2 of 4 shown")
    tab("org 1")
    tab("per 1")
    tab("Score at least")
    keyboard.press("ArrowRight")
    sync_api.expect(focused).to_have_value("0.01")
    keyboard.press("Tab")
    keyboard.press("Enter")
    sync_api.expect(page.get_by_label("Answer as JSON")).to_be_visible()
    tab("Answer as JSON")
    keyboard.press("Tab")
    tab("Copy JSON")
    keyboard.press("Enter")
    sync_api.expect(page.get_by_role("status").nth(1)).to_have_text("JSON copied")
    keyboard.press("Shift+Tab")
    keyboard.press("Tab")
    sync_api.expect(focused).to_have_accessible_name("Copy JSON")


def test_read_aloud(page):
    """Screen readers find landmarks and names, and entities separated from their labels."""
    submit(page, "Anna Berg lives in Oslo.")
    sync_api.expect(status(page)).to_have_text("2 found")
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1, role
    assert page.get_by_role("heading", level=1).count() == 1
    (_, _, per), (_, _, geo) = entities(page)
    sync_api.expect(page.locator("#marked")).to_have_text(
        f"Anna Berg (per {per}) lives in Oslo (geo {geo})."
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_is_readable(browser, url, scheme):
    """Every hue has WCAG's contrast of 4.5 : 1, and each label its own."""
    with opened(browser, url, color_scheme=scheme) as page:
        submit(page, TEXT)
        sync_api.expect(status(page)).to_have_text("4 found")
        lightness = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert lightness == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 29)"}[scheme]
        colours = page.locator(".label").evaluate_all(
            "all => all.map(e => getComputedStyle(e).backgroundColor)"
        )
        assert len(set(colours)) == 3
        for hue in range(0, 360, 15):
            contrasts = page.evaluate(COLOURS, hue)
            assert len(contrasts) == 4 + 4 + 3
            assert min(contrasts) >= 4.5, hue


def test_on_a_phone(browser, url):
    with opened(browser, url, viewport={"width": 375, "height": 667}, has_touch=True) as page:
        submit(page, f"Anna Berg lives in Oslo. {'Reuters' * 40}")
        sync_api.expect(page.locator("mark").first).to_be_visible()
        page.locator("details").evaluate_all("all => all.forEach(e => e.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        for button in page.get_by_role("button").all():
            assert button.bounding_box()["height"] >= 44
