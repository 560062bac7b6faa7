"""The page in a real browser, before a real gateway: a person asks, sees the answer, and why."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from tests.conftest import PROJECT
from tests.unit.gateway.models import Models, route, serving
from tests.unit.gateway.processes import Gateway, running

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = (PROJECT / "tests" / "axe" / "axe.min.js").read_text(encoding="utf-8")
TOKEN = "a-token-of-the-shop"
ONLY_ASKS = "a-token-that-only-asks"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
PATIENT_MS = 60_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
]
expect.set_options(timeout=PATIENT_MS)

REVIEWS = {
    "model": "reviews",
    "input_schema": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 20000, "title": "Your review"}
        },
        "required": ["text"],
        "additionalProperties": False,
    },
    "label_schema": {
        "enum": [0, 1],
        "oneOf": [{"const": 0, "title": "negative"}, {"const": 1, "title": "positive"}],
    },
    "input_example": {"text": "A wonderful film."},
}
FLIGHTS = {
    "model": "flights",
    "input_schema": {
        "type": "object",
        "properties": {
            "origin": {"enum": ["EWR", "JFK"], "title": "From"},
            "hour": {"type": "integer", "minimum": 0, "maximum": 23},
            "wind": {"type": "number", "minimum": 0, "description": "In miles an hour."},
            "is_holiday": {"type": "boolean"},
            "flight": {"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"},
            "gate": {"type": ["string", "null"]},
            "stops": {"type": "array", "items": {"type": "string"}},
            "number": {"type": "integer"},
        },
        "required": ["origin", "hour", "wind", "is_holiday", "gate"],
        "additionalProperties": False,
    },
    "label_schema": {"type": "number", "title": "Minutes late"},
    "input_example": {"origin": "EWR", "hour": 8, "wind": 5.5, "is_holiday": True, "gate": "B2"},
}
HOSTILE = {
    "model": "hostile",
    "run_id": EVIL[:60],
    "input_schema": {
        "type": "object",
        "properties": {
            EVIL: {"type": "string", "title": EVIL, "description": EVIL},
            "__proto__": {"type": "object", "title": "nested", "properties": {"a": {"$ref": "#"}}},
            "list": {"type": "array"},
        },
    },
    "label_schema": {},
    "input_example": {"list": [1, [2, {"three": EVIL}]]},
}


def sentiment(instance: dict[str, Any]) -> Any:
    good, bad = (instance["text"].split().count(word) for word in ("wonderful", "dull"))
    score = min(1.0, max(0.0, 0.4 + 0.45 * good - 0.3 * bad))
    return {"prediction": int(score > 0.5), "score": score}


def delay(instance: dict[str, Any]) -> Any:
    late = 2.5 * instance["hour"] + instance["wind"] + 30 * instance["is_holiday"]
    return {"prediction": late, "score": None}


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with serving() as made:
        made.versions |= {"reviews-1": sentiment, "flights-1": delay}
        made.add("hostile-1", {"prediction": {"said": EVIL}, "score": 0.5, "scores": {EVIL: 1.0}})
        yield made


@contextmanager
def gateway_of(models: Models, folder: Path, **settings: str) -> Iterator[Gateway]:
    """A gateway that serves the three models."""
    with running(models, folder, f"sqlite:///{folder / 'g.db'}", workers=1, **settings) as started:
        for each in (REVIEWS, FLIGHTS, HOSTILE):
            name = each["model"]
            put = route("1", timeout_seconds=60) | each | {"backend_version": f"{name}-1"}
            started.internal("PUT", f"/routes/{name}", json=put)
        yield started


@pytest.fixture(scope="module")
def gateway(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that asks for no token."""
    with gateway_of(models, tmp_path_factory.mktemp("open")) as started:
        yield started


@pytest.fixture(scope="module")
def guarded(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("guarded")
    with gateway_of(models, folder, prediction_tokens=f"shop={TOKEN}") as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


class Visit:
    """A page of a model in a tab of its own, and all that it asked for or complained about."""

    def __init__(self, browser: Browser, gateway: Gateway, model: str, **context: Any) -> None:
        self.page: Page = browser.new_context(**context).new_page()
        self.page.set_default_timeout(PATIENT_MS)
        self.complaints: list[str] = []
        self.asked: list[Request] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", self._keep)
        self.page.goto(f"{gateway.url}/v1/models/{model}/page")

    def _keep(self, request: Request) -> None:
        self.asked.append(request)

    def fill(self, **values: str) -> None:
        for label, value in values.items():
            self.page.get_by_label(label.replace("_", " "), exact=False).fill(value)

    def ask(self) -> None:
        self.page.get_by_role("button", name="Ask the model").click()

    def sees(self, part: str, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator(f"#{part}")).to_contain_text(text)

    def faults_for_axe(self) -> list[tuple[str, str]]:
        """The serious and critical faults of accessibility."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run().then((told) => told.violations)")
        return [(each["id"], str(each["nodes"][0]["html"])) for each in found if each["impact"] in GRAVE]


GRAVE = {"serious", "critical"}


def asked_of(visit: Visit, what: str) -> Any:
    """The body of the last request of a kind."""
    posted = [each for each in visit.asked if each.url.endswith(f"/{what}") and each.method == "POST"]
    return json.loads(posted[-1].post_data)


def test_a_person_asks_about_a_text_and_sees_why_and_how_right_it_is(
    browser: Browser, gateway: Gateway
) -> None:
    visit = Visit(browser, gateway, "reviews")
    visit.sees("right-said", "Nothing was asked yet")
    visit.fill(Your_review="A wonderful \U0001f600 film, never dull at all")
    visit.page.get_by_label("Your answer").select_option(label="positive")
    visit.ask()

    visit.sees("prediction", "positive")
    visit.sees("agreement", "You and the model agree.")
    visit.sees(
        "facts",
        re.compile(r"Score0\.55 \(the probability of positive\)Version1.*Runrun-1.*Prediction[0-9a-f]{32}"),
    )
    visit.sees("kept", "What you said is kept.")
    visit.sees("parts", re.compile(r"wonderful\+0\.45negative.*dull\u22120\.3positive"))
    expect(visit.page.locator("mark.for-3")).to_have_text("wonderful")
    expect(visit.page.locator("mark.against-2")).to_have_text("dull")
    expect(visit.page.locator("#words p")).to_have_text("A wonderful \U0001f600 film, never dull at all")
    visit.sees("right", re.compile(r"111100\.0 % \(20\.7 % to 100\.0 %\)"))
    assert gateway.internal("GET", "/log/feedback?model=reviews")["rows"][0]["label"] == 1
    assert visit.complaints == []

    visit.page.get_by_label("Your answer").select_option(label="positive")
    visit.fill(Your_review="A dull film")
    visit.page.get_by_label("Your review").press("Tab")
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    visit.sees("agreement", "You and the model do not agree: you said positive.")
    visit.sees("right", "50.0 %")
    assert visit.page.evaluate("document.activeElement.id") == "answer-title"


def test_a_table_s_fields_are_sent_in_their_types(browser: Browser, gateway: Gateway) -> None:
    visit = Visit(browser, gateway, "flights")
    visit.page.get_by_role("button", name="Fill in an example").click()
    visit.page.get_by_label("From").select_option('"JFK"')
    visit.fill(hour="9", wind="1.50", stops='["ORD", "SFO"]', number="12345678901234567", Minutes_late="50")
    visit.page.get_by_label("gate").fill("")
    visit.ask()

    visit.sees("prediction", "54")
    visit.sees("agreement", "You are 4 apart.")
    visit.sees("facts", "Scorenone")
    raw = [each for each in visit.asked if each.url.endswith("/predict")][-1].post_data
    assert '"wind":1.50' in raw
    assert '"number":12345678901234567' in raw, "no digit is lost"
    sent = json.loads(raw)["instances"][0]
    expected = {"origin": "JFK", "hour": 9, "wind": 1.5, "is_holiday": True, "gate": None}
    assert sent == expected | {"stops": ["ORD", "SFO"], "number": 12345678901234567}
    visit.sees("parts", re.compile(r"is_holiday: true \(in place of false\)\+30"))
    visit.sees("parts", re.compile(r"hour: 9 \(in place of 8\)\+2\.5"))
    visit.sees("parts", re.compile(r"wind: 1\.5 \(in place of 5\.5\)\u22124"))
    visit.sees("parts", re.compile(r"From: JFK \(in place of EWR\)0"))
    visit.sees("right-said", "By version")
    assert visit.complaints == []


def test_each_field_of_the_example_is_in_the_table_or_said_why_not(
    browser: Browser, gateway: Gateway
) -> None:
    visit = Visit(browser, gateway, "flights")
    visit.page.get_by_role("button", name="Fill in an example").click()
    visit.fill(flight="UA1")
    visit.ask()
    for told in (
        r"is_holiday: true \(in place of false\)\+30",
        r"hour: 8 \(in place of 11\)\u22127\.5",
        r"wind: 5\.5 \(in place of 0\)\+5\.5",
        r"From: EWR \(in place of JFK\)0",
        r"gate: B2 \(in place of null\)0",
        r"flight: UA1 \(left out\)0",
    ):
        visit.sees("parts", re.compile(told))
    visit.sees("why-said", "what it adds to the answer")
    assert visit.complaints == []


def test_a_part_that_was_not_tried_is_named_with_the_reason(browser: Browser, gateway: Gateway) -> None:
    visit = Visit(browser, gateway, "reviews")
    visit.fill(Your_review="wonderful")
    visit.ask()
    visit.sees("why-said", "Not tried: \u201cwonderful\u201d (no other value is allowed there).")


def test_a_word_that_stands_twice_says_which_one_it_is(browser: Browser, gateway: Gateway) -> None:
    visit = Visit(browser, gateway, "reviews")
    visit.fill(Your_review="Dull and dull again, so dull")
    visit.ask()
    visit.sees("parts", re.compile(r"dull \(no\. 2 of 3\).*dull \(no\. 3 of 3\)"))


def test_the_gateway_s_own_page_fits_a_phone(browser: Browser, gateway: Gateway) -> None:
    long = {"archive_sha256": "8" * 64, "backend_version": "reviews-1", "timeout_seconds": 60}
    gateway.internal("PUT", "/routes/reviews", json=route("1") | REVIEWS | long)
    page = browser.new_context(viewport={"width": 390, "height": 800}).new_page()
    page.set_default_timeout(PATIENT_MS)
    for path in ("/", "/v1/models/reviews/docs"):
        page.goto(f"{gateway.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_what_is_filled_in_wrongly_is_told_at_its_field(browser: Browser, gateway: Gateway) -> None:
    visit = Visit(browser, gateway, "flights")
    visit.fill(hour="24", stops="[1,")
    visit.ask()
    visit.sees("said", "4 fields need another look.")
    for field, sentence in (
        ("f0", "Choose one."),
        ("f1", "Enter 23 or less."),
        ("f2", "Fill this in."),
        ("f6", "This is not JSON"),
    ):
        visit.sees(f"{field}-fault", sentence)
        expect(visit.page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    assert visit.page.evaluate("document.activeElement.id") == "f0"
    assert not [each for each in visit.asked if each.method == "POST"]

    visit.page.get_by_role("button", name="Fill in an example").click()
    visit.fill(hour="7.5", stops="")
    visit.ask()
    visit.sees("f1-fault", "Enter a whole number.")
    visit.fill(hour="7", flight="nonsense")
    visit.ask()
    visit.sees("said", "breaks the model's input schema: flight")
    visit.sees("f4-fault", "does not match")
    assert visit.page.evaluate("document.activeElement.id") == "f4"


def test_who_has_a_token_may_ask_and_it_stays_in_the_tab(browser: Browser, guarded: Gateway) -> None:
    visit = Visit(browser, guarded, "reviews")
    visit.fill(Your_review="wonderful")
    visit.ask()
    visit.sees("token-said", "The request bears no token")
    visit.sees("said", "The request bears no token")
    for wrong, sentence in (("no token", "This is no token"), ("a-token-of-nobody", "is not known here")):
        visit.page.get_by_label("Token", exact=True).fill(wrong)
        visit.page.get_by_role("button", name="Use it").click()
        visit.sees("token-said", sentence)
        assert visit.page.evaluate("sessionStorage.length") == 0
    visit.page.get_by_label("Token", exact=True).fill(TOKEN)
    visit.page.get_by_role("button", name="Use it").click()
    visit.sees("token-said", "Your token is used")
    visit.ask()
    visit.sees("prediction", "positive")

    visit.page.reload()
    visit.sees("right", "not known yet")
    page = visit.page
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length") == 0
    assert not [each.url for each in visit.asked if TOKEN in each.url]
    borne = [each.all_headers().get("authorization") for each in visit.asked if each.url.endswith("/predict")]
    assert borne == [None, f"Bearer {TOKEN}"]
    page.get_by_role("button", name="Forget it").click()
    assert page.evaluate("sessionStorage.length") == 0
    visit.fill(Your_review="wonderful")
    visit.ask()
    visit.sees("said", "The request bears no token")


def test_what_a_token_may_not_do_is_told_and_the_rest_goes_on(browser: Browser, guarded: Gateway) -> None:
    digest = sha256(ONLY_ASKS.encode()).hexdigest()
    grant = {"name": "ann", "sha256": digest, "scopes": ["predict"], "made_by": "person:ann"}
    guarded.internal("POST", "/tokens", json=grant)
    visit = Visit(browser, guarded, "reviews")
    visit.page.get_by_label("Token", exact=True).fill(ONLY_ASKS)
    visit.page.get_by_role("button", name="Use it").click()
    visit.sees("right-said", "The figures are not shown. The token 'ann' may ask for predictions")
    visit.fill(Your_review="wonderful film")
    visit.page.get_by_label("Your answer").select_option(label="negative")
    visit.ask()
    visit.sees("agreement", "do not agree: you said negative")
    visit.sees(
        "kept", "What you said was not kept. The token 'ann' may ask for predictions, but not send labels"
    )
    visit.sees("parts", "wonderful")


def test_nothing_that_a_model_says_is_run(browser: Browser, gateway: Gateway) -> None:
    visit = Visit(browser, gateway, "hostile")
    visit.page.locator("#f0").fill(EVIL)
    visit.page.locator("#f1").fill('{"__proto__": {"a": {}}}')
    visit.page.locator("#f2").fill("[" * 90 + "]" * 90)
    visit.page.locator("#opinion").fill(json.dumps(EVIL))
    visit.ask()

    visit.sees("prediction", EVIL)
    visit.sees("agreement", f"You and the model do not agree: you said {EVIL}")
    visit.sees("why-said", re.compile("left out|Nothing"))
    visit.sees("right-said", "By version")
    assert visit.page.locator("script").count() == 1
    assert visit.page.locator("img").count() == 0
    assert visit.complaints == []
    assert "__proto__" in asked_of(visit, "predict")["instances"][0]


def test_a_text_of_a_megabyte_is_refused_with_a_sentence(browser: Browser, gateway: Gateway) -> None:
    visit = Visit(browser, gateway, "reviews")
    visit.page.evaluate("document.getElementById('f0').value = 'wonderful '.repeat(110000)")
    visit.ask()
    visit.sees("said", "The body is larger than 1048576 bytes")
    visit.page.evaluate("document.getElementById('f0').value = 'wonderful '.repeat(3000)")
    visit.ask()
    visit.sees("f0-fault", "is too long")
    expect(visit.page.get_by_role("button", name="Ask the model")).to_be_enabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it_and_it_fits_a_phone(
    browser: Browser, gateway: Gateway, guarded: Gateway, scheme: str
) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme}
    visit = Visit(browser, gateway, "reviews", **phone)
    visit.fill(Your_review="A wonderful film, dull in parts " + "x" * 200)
    visit.page.get_by_label("Your answer").select_option(label="positive")
    visit.ask()
    visit.sees("kept", "is kept")
    visit.sees("parts", "wonderful")
    visit.sees("right", "%")
    wrong = Visit(browser, gateway, "flights", **phone)
    wrong.ask()
    wrong.sees("f0-fault", "Choose one.")
    others = [wrong, Visit(browser, guarded, "reviews", **phone), Visit(browser, gateway, "hostile", **phone)]
    for each in (visit, *others):
        assert each.faults_for_axe() == []
        assert each.page.evaluate("document.documentElement.scrollWidth") <= 360
    dark = visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 26, 23)"
    assert dark == (scheme == "dark")


def test_the_gateway_s_list_of_models_leads_there(browser: Browser, gateway: Gateway) -> None:
    page = browser.new_page()
    page.goto(gateway.url)
    page.get_by_role("link", name="Try it on a page").last.click()
    expect(page.get_by_role("heading", name="Ask reviews")).to_be_visible()
