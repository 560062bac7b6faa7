// Shows what the gateway answered. Everything is set as text: nothing that a person, a model or the gateway
// says ever becomes markup.

const MOST_WORDS = 12; // rows of the explanation, beside those of the fields
const MOST_NAMED = 12;
const MOST_VERSIONS = 10;
const SHOWN_CHARACTERS = 2000;

const by = (id) => document.getElementById(id);
const opinion = by("opinion");
const { positive } = by("answer").dataset; // of two classes the one whose probability the score is

export function showAnswer(told, label) {
  const { prediction, score, scores, prediction_id: id } = told.predictions[0];
  by("prediction").textContent = named(prediction);
  by("agreement").textContent = label === undefined ? "" : agreement(JSON.parse(label), prediction);
  by("kept").textContent = "";
  const ofWhat = score !== null && positive ? ` (the probability of ${positive})` : "";
  const facts = [["Score", score === null ? "none" : figure(score) + ofWhat]];
  if (scores) facts.push(["Probabilities", probabilities(scores)]);
  facts.push(["Version", told.model_version], ["Run", told.run_id], ["Prediction", id]);
  const items = facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
  by("facts").replaceChildren(...items);
  by("answer").hidden = false;
  by("answer-title").focus();
}

function agreement(said, prediction) {
  if (isSame(said, prediction)) return "You and the model agree.";
  const areNumbers = typeof said === "number" && typeof prediction === "number";
  const apart = areNumbers && opinion.dataset.kind !== "choice";
  const more = apart ? ` You are ${figure(Math.abs(said - prediction))} apart.` : "";
  return `You and the model do not agree: you said ${named(said)}.${more}`;
}

function probabilities(scores) {
  const likely = Object.entries(scores).sort(([, a], [, b]) => b - a);
  return likely.slice(0, 5).map(([name, value]) => `${name}: ${figure(value)}`).join(", ");
}

export function showWhy(why, instance) {
  const ofClass = `the probability of ${named(why.prediction)}`;
  const ofScore = positive ? `the probability of ${positive}` : "the score";
  const what = { scores: ofClass, score: ofScore, prediction: "the answer" }[why.figure];
  const changes = (part) => part.effect || !isSame(part.prediction, why.prediction);
  const byEffect = [...why.parts].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  const words = byEffect.filter((part) => isWord(part) && changes(part));
  const shownWords = new Set(words.slice(0, MOST_WORDS));
  const ordered = byEffect.filter((part) => !isWord(part) || shownWords.has(part)); // a field without effect, too
  const most = Math.max(...ordered.map((part) => Math.abs(part.effect)), Number.MIN_VALUE);
  const told = what ? `the table says what it adds to ${what}` : "the table says what the answer is then";
  const some = `Each part was left out in turn, or had another value; ${told}.`;
  const none = "Nothing that was left out changes the answer.";
  by("why-said").textContent = [why.parts.some(changes) ? some : none, ...missed(why.not_tried_parts)].join(" ");
  for (const field of new Set(words.map((word) => word.field))) {
    const own = words.filter((word) => word.field === field);
    by("words").append(marked(instance[field], own, most));
  }
  const rows = ordered.map((part) => [partName(part, why.parts), effectOf(part, most), named(part.prediction)]);
  fill("parts", ["Part", what ? "Adds" : "", "Answer without it"], rows);
}

const isWord = (part) => part.start !== undefined;

// One sentence for each reason for which parts are not in the table.
function missed(parts) {
  const reasons = {
    nothing_fits: "no other value is allowed there",
    no_room: "there is more than can be asked at once",
    no_answer: "the model gave no answer without it",
  };
  return Object.entries(reasons).flatMap(([reason, why]) => {
    const own = parts.filter((part) => part.reason === reason);
    const names = [...new Set(own.map((part) => (isWord(part) ? `“${text(part.value)}”` : fieldName(part))))];
    const more = names.length > MOST_NAMED ? ` and ${count(names.length - MOST_NAMED)} more` : "";
    return names.length ? [`Not tried: ${names.slice(0, MOST_NAMED).join(", ")}${more} (${why}).`] : [];
  });
}

// As the form calls it.
function fieldName({ field }) {
  if (field === undefined) return "the instance";
  const inputs = [...document.querySelectorAll("#ask .field")];
  const own = inputs.find((input) => input.dataset.key && JSON.parse(input.dataset.key) === field);
  return shortened(own?.labels[0].firstChild.textContent.trim() ?? field);
}

function partName(part, all) {
  if (isWord(part)) return text(part.value) + occurrence(part, all);
  const other = part.left_out ? "left out" : `in place of ${text(part.replaced_by)}`;
  return `${fieldName(part)}: ${text(part.value)} (${other})`;
}

// Which of the places of a word that stands in its text several times.
function occurrence({ field, value, start }, all) {
  const isAlike = (part) => isWord(part) && part.field === field && part.value.toLowerCase() === value.toLowerCase();
  const places = all.filter(isAlike).map((part) => part.start).sort((a, b) => a - b);
  return places.length > 1 ? ` (no. ${places.indexOf(start) + 1} of ${places.length})` : "";
}

function effectOf(part, most) {
  if (!part.effect) return part.effect === 0 ? "0" : "";
  const bar = element("span", "");
  bar.className = part.effect < 0 ? "bar against" : "bar";
  bar.style.width = `${(100 * Math.abs(part.effect)) / most}%`;
  const said = element("span", `${part.effect < 0 ? "\u2212" : "+"}${figure(Math.abs(part.effect))}`);
  said.append(bar);
  return said;
}

function marked(whole, words, most) {
  const characters = [...whole]; // as the gateway counts them
  const shown = element("p", "");
  let at = 0;
  for (const word of [...words].sort((a, b) => a.start - b.start)) {
    const level = Math.ceil((3 * Math.abs(word.effect)) / most - 0.5);
    const mark = element("mark", characters.slice(word.start, word.end).join(""));
    if (level > 0) mark.className = `${word.effect < 0 ? "against" : "for"}-${Math.min(3, level)}`;
    shown.append(characters.slice(at, word.start).join(""), mark);
    at = word.end;
  }
  shown.append(characters.slice(at).join(""));
  return shown;
}

export function showRight(versions) {
  const told = "Labels are answers of which it is known what was true.";
  const some = `By version, newest first; in brackets the 95 % interval. ${told}`;
  by("right-said").textContent = versions.length ? some : "Nothing was asked yet.";
  const rows = versions.slice(0, MOST_VERSIONS).map((each) => {
    return [each.model_version, count(each.predictions), count(each.labelled), rightness(each)];
  });
  fill("right", ["Version", "Answers", "Labels", "Right"], rows);
}

function rightness(version) {
  const { correctness: share, mean_absolute_error: error } = version;
  const said = [];
  if (share) said.push(`${percent(share.value)} (${percent(share.low)} to ${percent(share.high)})`);
  if (error) said.push(`${figure(error.value)} off on average (${figure(error.low)} to ${figure(error.high)})`);
  return said.join("; ") || "not known yet";
}

function element(kind, said) {
  const made = document.createElement(kind);
  made.textContent = said;
  return made;
}

function fill(id, heads, rows) {
  const [head, body] = by(id).children;
  const row = document.createElement("tr");
  row.append(...heads.map((name) => Object.assign(element("th", name), { scope: "col" })));
  head.replaceChildren(row);
  body.replaceChildren(...rows.map(rowOf));
  by(id).hidden = rows.length === 0;
}

function rowOf(cells) {
  const row = document.createElement("tr");
  for (const cell of cells) {
    const made = document.createElement("td");
    made.append(cell);
    row.append(made);
  }
  return row;
}

export function optionOf(select, value) {
  const options = [...(select.options ?? [])].filter((each) => each.value);
  return options.find((each) => isSame(JSON.parse(each.value), value));
}

const text = (value) => shortened(typeof value === "string" ? value : JSON.stringify(value));
const named = (value) => optionOf(opinion, value)?.text ?? text(value);
const shortened = (said) => (said.length > SHOWN_CHARACTERS ? `${said.slice(0, SHOWN_CHARACTERS)}…` : said);
const figure = (number) => Number(number.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 });
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const count = (number) => number.toLocaleString("en");

function isSame(a, b) {
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return a === b;
  const names = Object.keys(a);
  const isIn = (name) => Object.hasOwn(b, name) && isSame(a[name], b[name]);
  return names.length === Object.keys(b).length && names.every(isIn);
}
