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

TEXT = "Anna Berg lives in Oslo. Reuters reports from South Africa."
# The contrast of each coloured element, with another hue.
CONTRASTS = """
hue => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const luminance = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const linear = [...canvas.getImageData(0, 0, 1, 1).data].map((value) =>
      value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
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
        with playwright.chromium.launch(
            executable_path=found,
            chromium_sandbox=os.name != "posix" or os.geteuid() != 0,
            args=["--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        ) as browser:
            yield browser


@pytest.fixture
def url(server) -> str:
    return f"{server.url}/"


@contextlib.contextmanager
def opened(browser, url, **context: object) -> Iterator[sync_api.Page]:
    """The page in a window of its own. Console messages and requests to other servers fail."""
    with browser.new_context(**context) as window:
        page = window.new_page()
        page.set_default_timeout(10_000)
        messages, requests = [], []
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


def submit(page: sync_api.Page, text: str, status: str | None = None) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Find entities").click()
    if status is not None:
        expect_status(page, status)


def expect_status(page: sync_api.Page, text: str) -> None:
    status = page.get_by_role("status").nth(1 if "copied" in text else 0)
    sync_api.expect(status).to_have_text(text)


def entities(page: sync_api.Page) -> list[list[str]]:
    """The text, and the label with the score, of each highlighted entity."""
    return page.locator("mark").evaluate_all(
        """marks => marks.map(mark =>
            [mark.firstChild.data, mark.querySelector(".tag").textContent])"""
    )


@pytest.mark.parametrize(
    "text",
    [
        "😀😀 Anna Berg 👩‍👩‍👧 lives in Oslo. 🇳🇴 Reuters reports from South Africa.",
        "Anna Berg lives\n\n  in 𝒩ordic Oslo.\tReuters reports from Paris.",
        "<img src=x onerror=alert(1)> Anna Berg lives in Oslo. <b>Reuters</b> & Paris",
    ],
    ids=["emoji", "whitespace", "markup"],
)
def test_entities_are_marked_in_the_text(page, url, text):
    """Screen readers read labels and scores in parentheses."""
    ents = predict(url, text)["ents"]
    assert len(ents) >= 2
    submit(page, text, f"{len(ents)} found")
    assert entities(page) == [[e["text"], f"{e['label']} {e['score']:.2f}"] for e in ents]
    read = text
    for e in reversed(ents):
        read = f"{read[: e['end']]} ({e['label']} {e['score']:.2f}){read[e['end'] :]}"
    assert page.locator("#marked").text_content() == read


@pytest.mark.parametrize("text", ["", "It rained for two days."])
def test_nothing_found(page, text):
    submit(page, text, "None found")
    sync_api.expect(page.get_by_role("group", name="Labels shown")).to_be_hidden()


def test_landmarks_and_example(page):
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1, role
    page.get_by_role("button", name="Try an example").click()
    sync_api.expect(page.locator("mark").first).to_be_visible()
    assert page.get_by_label("Text", exact=True).input_value().startswith("On Tuesday")


def test_legend_and_filter_by_label(page):
    sync_api.expect(page.locator("#version")).to_contain_text("labels: geo, org, per")
    submit(page, TEXT)
    sync_api.expect(page.locator("#legend")).to_have_text(
        "org: Companies, agencies, institutions, etc. · per: Named person or family."
    )
    sync_api.expect(page.locator(".label")).to_have_text(["geo 2", "org 1", "per 1"])
    page.get_by_role("checkbox", name="geo 2").uncheck()
    expect_status(page, "2 of 4 shown")
    assert [text for text, _ in entities(page)] == ["Anna Berg", "Reuters"]
    # The choice remains for the next text.
    submit(page, "Anna Berg lives in Oslo.", "1 of 2 shown")
    page.get_by_role("checkbox", name="geo 1").check()
    expect_status(page, "2 found")


def test_filter_by_score(page):
    """Entities of an entity ruler have no score, and labels that the network does not know."""
    predicted = [("per", 0.2), ("per", 0.5), ("per", 0.9), ("brand", None)]
    ents = [
        {"label": label, "start": i, "end": i + 1, "score": score}
        for i, (label, score) in enumerate(predicted)
    ]
    answer = {"tokens": ["abcd"], "tags": ["O"], "ents": ents, "labels": ["O", "B-per", "I-per"]}
    page.route("**/predict", lambda route: route.fulfill(json=answer))
    submit(page, "abcd", "4 found")
    page.get_by_role("slider", name="Score at least").fill("0.5")
    expect_status(page, "3 of 4 shown")
    assert [tag for _, tag in entities(page)] == ["per 0.50", "per 0.90", "brand"]


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
    read = "() => (window.clipboard ?? navigator.clipboard).readText()"
    page.get_by_role("button", name="Copy JSON").click()
    expect_status(page, "JSON copied")
    answer = json.loads(page.evaluate(read))
    assert answer == predict(url, text)
    page.get_by_role("button", name="Copy curl").click()
    expect_status(page, "curl copied")
    command = page.evaluate(read)
    assert command.startswith(f"curl -X POST {url}predict ")
    if shutil.which("curl"):
        output = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
        assert json.loads(output) == answer


def test_loading_state_and_a_newer_text(page):
    held: list[sync_api.Route] = []
    page.route("**/predict", lambda route: route.continue_() if held else held.append(route))
    submit(page, "Anna Berg")
    button = page.get_by_role("button", name="Finding entities…")
    sync_api.expect(button).to_be_focused()
    assert page.locator("#result").get_attribute("aria-busy") == "true"

    page.get_by_label("Text", exact=True).fill("Oslo and Paris are far apart.")
    button.click()
    expect_status(page, "2 found")
    # The page no longer waits for the older answer.
    with contextlib.suppress(sync_api.Error):
        held[0].fulfill(json={"tokens": [], "tags": [], "ents": [], "labels": ["O"]})
    page.wait_for_timeout(200)
    assert [text for text, _ in entities(page)] == ["Oslo", "Paris"]
    sync_api.expect(page.get_by_role("button", name="Find entities")).to_be_visible()
    assert page.locator("#result").get_attribute("aria-busy") == "false"
    assert page.get_by_role("alert").text_content() == ""


def test_error_of_the_service(page):
    """Half a surrogate pair, as in a text that was cut in two."""
    submit(page, TEXT, "4 found")
    page.evaluate("document.getElementById('text').value = 'Oslo \\ud83d'")
    with page.expect_response("**/predict") as answer:
        page.get_by_role("button", name="Find entities").click()
    alert, problem = page.get_by_role("alert"), answer.value.json()
    for shown in (problem["title"], problem["detail"], problem["request_id"]):
        sync_api.expect(alert).to_contain_text(shown)
    sync_api.expect(page.locator("#result")).to_be_hidden()
    # The next answer removes the error.
    submit(page, TEXT, "4 found")
    assert alert.text_content() == ""


ERRORS = [{"field": "a", "message": "long"}, {"field": "b[1]", "message": "?"}]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "The server cannot be reached"),
        ({"status": 502, "body": "<h1>Bad Gateway</h1>"}, "status 502"),
        ({"status": 200, "body": "<h1>Log in</h1>"}, "not JSON"),
        ({"status": 500, "body": "null"}, "status 500"),
        ({"status": 429, "body": '{"errors": {"a": 1}}'}, "status 429"),
        ({"status": 400, "json": {"title": "Bad", "errors": ERRORS}}, "b[1]: ?"),
    ],
    ids=["no network", "proxy", "another page", "null", "another form", "several fields"],
)
def test_other_errors(page, answer, message):
    page.route("**/predict", lambda route: route.fulfill(**answer) if answer else route.abort())
    submit(page, TEXT)
    sync_api.expect(page.get_by_role("alert")).to_contain_text(message)
    sync_api.expect(page.get_by_role("button", name="Find entities")).to_be_visible()


def test_by_keyboard_alone(page):
    focused, keyboard = page.locator("*:focus"), page.keyboard

    def tab(*names: str) -> None:
        """Move on to elements, and check that the focus is visible."""
        for name in names:
            keyboard.press("Tab")
            sync_api.expect(focused).to_have_accessible_name(name)
            outlines = focused.evaluate(
                "e => [e, e.parentElement].map(e => getComputedStyle(e).outlineStyle)"
            )
            assert "solid" in outlines

    sync_api.expect(page.get_by_label("Text", exact=True)).to_be_focused()
    keyboard.type(TEXT)
    keyboard.press("Control+Enter")
    expect_status(page, "4 found")
    tab("Find entities", "Try an example", "geo 2")
    keyboard.press("Space")
    expect_status(page, "2 of 4 shown")
    tab("org 1", "per 1", "Score at least")
    keyboard.press("ArrowRight")
    sync_api.expect(focused).to_have_value("0.01")
    keyboard.press("Tab")
    keyboard.press("Enter")
    tab("Answer as JSON")
    keyboard.press("Tab")
    tab("Copy JSON")
    keyboard.press("Enter")
    expect_status(page, "JSON copied")
    sync_api.expect(focused).to_have_accessible_name("Copy JSON")


@pytest.mark.parametrize(
    ("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 29)")]
)
def test_every_colour_is_readable(browser, url, scheme, ground):
    """Every hue has WCAG's contrast of 4.5 : 1, and each label its own."""
    background = "e => getComputedStyle(e).backgroundColor"
    with opened(browser, url, color_scheme=scheme) as page:
        submit(page, TEXT, "4 found")
        assert page.locator("body").evaluate(background) == ground
        colours = page.locator(".label").evaluate_all(f"all => all.map({background})")
        assert len(set(colours)) == 3
        for hue in range(0, 360, 15):
            contrasts = page.evaluate(CONTRASTS, hue)
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
