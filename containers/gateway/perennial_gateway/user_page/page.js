// Reads the form, asks the gateway, and has the answer shown.

import { optionOf, showAnswer, showRight, showWhy } from "./page_answer.js";
import { call, mayAsk, Refusal, SENDABLE, watchToken } from "./page_gateway.js";

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/; // as JSON has it

const by = (id) => document.getElementById(id);
const inputs = [...document.querySelectorAll("#ask .field")].filter((each) => each.id !== "opinion");
const opinion = by("opinion");
let turn = 0; // what comes late for an earlier question is not shown below a later one

class Unfilled extends Error {}

// What a field says, as JSON text, so that no number loses a digit; undefined where it is to be left out.
function rawOf(input) {
  const { kind, required, nullable, least } = input.dataset;
  if (kind === "checkbox") return String(input.checked);
  if (input.validity.badInput) throw new Unfilled("Enter a number.");
  if (kind === "text" || kind === "line") {
    const mayBeEmpty = required !== undefined && nullable === undefined && least === "0";
    if (input.value || mayBeEmpty) return JSON.stringify(input.value);
  } else if (input.value.trim()) {
    if (kind === "choice") return input.value;
    return kind === "json" ? rawJson(input.value) : rawNumber(input, kind);
  }
  if (required === undefined) return undefined;
  if (nullable !== undefined) return "null";
  throw new Unfilled(kind === "choice" ? "Choose one." : "Fill this in.");
}

function rawJson(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Unfilled(`This is not JSON: ${error.message}`);
  }
  return text;
}

function rawNumber(input, kind) {
  const value = Number(input.value);
  if (kind === "integer" && !Number.isInteger(value)) throw new Unfilled("Enter a whole number.");
  if (input.min !== "" && value < Number(input.min)) throw new Unfilled(`Enter ${input.min} or more.`);
  if (input.max !== "" && value > Number(input.max)) throw new Unfilled(`Enter ${input.max} or less.`);
  return NUMBER.test(input.value) ? input.value : String(value);
}

function read(input, faulty) {
  markFault(input, "");
  try {
    return rawOf(input);
  } catch (fault) {
    if (!(fault instanceof Unfilled)) throw fault;
    markFault(input, fault.message);
    faulty.push(input);
    return undefined;
  }
}

function markFault(input, sentence) {
  by(`${input.id}-fault`).textContent = sentence;
  if (sentence) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function fillExample() {
  for (const input of inputs.filter((each) => each.dataset.example)) {
    const value = JSON.parse(input.dataset.example);
    markFault(input, "");
    if (input.dataset.kind === "checkbox") input.checked = value === true;
    else if (input.dataset.kind === "json") input.value = JSON.stringify(value, null, 2);
    else if (input.dataset.kind === "choice") input.value = optionOf(input, value)?.value ?? "";
    else input.value = value === null ? "" : String(value);
  }
}

// The gateway's sentence names the field that breaks the schema: it is shown there, too.
function markNamed(sentence) {
  const said = sentence.split("breaks the model's input schema: ")[1] ?? "";
  const found = inputs.find((input) => {
    if (!input.dataset.key) return false;
    const name = JSON.parse(input.dataset.key);
    const isWithin = [":", ".", "["].some((end) => said.startsWith(name + end));
    return isWithin || said.startsWith(`'${name}' is a required`);
  });
  if (found) {
    markFault(found, said);
    found.focus();
  }
}

async function ask(event) {
  event.preventDefault();
  const faulty = [];
  const raws = inputs.map((input) => [input.dataset.key, read(input, faulty)]);
  const label = read(opinion, faulty);
  by("said").textContent = "";
  if (faulty.length) {
    const many = `${faulty.length} fields need another look.`;
    by("said").textContent = faulty.length === 1 ? "One field needs another look." : many;
    return faulty[0].focus();
  }
  const given = raws.filter(([, raw]) => raw !== undefined);
  const whole = inputs.length === 1 && !inputs[0].dataset.key;
  const instance = whole ? raws[0][1] : `{${given.map(([key, raw]) => `${key}:${raw}`).join(",")}}`;
  await askAbout(instance, label);
}

async function askAbout(instance, label) {
  const own = (turn += 1);
  for (const id of ["answer", "why"]) by(id).hidden = true;
  const told = await predict(instance);
  if (!told) return;
  showAnswer(told, label);
  const id = told.predictions[0].prediction_id;
  const isKept = label === undefined ? Promise.resolve() : sendLabel(id, label, own);
  await Promise.all([explain(instance, told, own), isKept.then(() => figures(own))]);
}

async function predict(instance) {
  setBusy(true);
  try {
    return await call("predict", `{"instances":[${instance}]}`);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    by("said").textContent = refusal.message;
    if (refusal.status === 422) markNamed(refusal.message);
    return undefined;
  } finally {
    setBusy(false);
  }
}

function setBusy(isBusy) {
  by("submit").disabled = isBusy;
  by("submit").textContent = isBusy ? "Asking…" : "Ask the model";
}

async function sendLabel(id, label, own) {
  let said = "What you said is kept.";
  try {
    await call("feedback", `{"feedback":[{"prediction_id":${JSON.stringify(id)},"label":${label}}]}`);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    said = `What you said was not kept. ${refusal.message}`;
  }
  if (own === turn) by("kept").textContent = said;
}

async function explain(instance, told, own) {
  by("why").hidden = false;
  by("why-said").textContent = "Leaving out each part in turn…";
  by("words").replaceChildren();
  by("parts").hidden = true;
  const version = told.model_version;
  const headers = SENDABLE.test(version) ? { "X-Perennial-Version": version } : {};
  try {
    const why = await call("explain", `{"instance":${instance}}`, headers);
    if (own === turn) showWhy(why, JSON.parse(instance));
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (own === turn) by("why-said").textContent = `There is no explanation. ${refusal.message}`;
  }
}

async function figures(own) {
  try {
    const { versions } = await call("statistics");
    if (own !== turn) return;
    showRight(versions);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (own === turn) by("right-said").textContent = `The figures are not shown. ${refusal.message}`;
  }
}

by("ask").addEventListener("submit", ask);
by("example").addEventListener("click", fillExample);
by("example").hidden = !inputs.some((input) => input.dataset.example);
watchToken(() => figures(turn));
if (mayAsk()) figures(turn);
