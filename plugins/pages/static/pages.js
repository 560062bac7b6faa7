// What the Models pages do in the browser: ask Airflow's REST API as the person who is logged in, keep what is at
// work fresh, follow Airflow's theme, and lead out of the frame that Airflow shows the pages in.
"use strict";

const FRESH_SECONDS = { busy: 3, idle: 15 };

const framed = () => {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null; // the frame of somebody else's page
  }
};

function followTheme() {
  const outer = framed();
  if (!outer) return;
  const root = outer.document.documentElement;
  const follow = () => {
    const dark = root.classList.contains("dark"), light = root.classList.contains("light");
    if (dark || light) document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  follow();
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ["class"] });
}

function leadOut(event) {
  const link = event.target.closest("a.out");
  const outer = framed();
  if (!link || !outer || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const way = outer.document.createElement("a"); // the sandbox of the frame lets it lead nowhere by itself
  way.href = link.href;
  way.click();
}

function valueOf(field) {
  const text = field.value.trim();
  if (field.dataset.kind === "lines") return text.split(/\s*\n\s*/).filter(Boolean);
  if (text === "") return null;
  return field.dataset.kind === "number" ? Number(text) : text;
}

function wishOf(form) {
  const fixed = JSON.parse(form.dataset.fixed);
  const said = {};
  for (const field of form.elements) if (field.name) said[field.name] = valueOf(field);
  if (form.dataset.method === "PATCH") return { ...fixed, params_input: said };
  return { logical_date: null, conf: { ...fixed, ...said } };
}

async function whyRefused(answer) {
  const told = await answer.json().catch(() => ({}));
  const detail = typeof told.detail === "string" ? told.detail : JSON.stringify(told.detail ?? "");
  if (answer.status === 403) return `Airflow refused: your account may not do this. ${detail}`;
  if (answer.status === 401) return "You are not logged in to Airflow any more: log in and try again.";
  return `Airflow refused (HTTP ${answer.status}): ${detail}`;
}

async function act(event) {
  const form = event.target;
  if (!form.dataset.url) return;
  event.preventDefault();
  const outcome = form.querySelector(".outcome"), button = form.querySelector("button[type=submit]");
  const tell = (text, tone) => { outcome.textContent = text; outcome.className = `outcome small ${tone}`; };
  button.disabled = true;
  tell("Asking Airflow …", "");
  try {
    const answer = await fetch(form.dataset.url, {
      method: form.dataset.method,
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(wishOf(form)),
    });
    if (!answer.ok) return tell(await whyRefused(answer), "bad");
    const done = await answer.json();
    tell(form.dataset.method === "PATCH" ? "Answered." : `Started: ${done.dag_run_id} of ${done.dag_id}.`, "good");
    await refresh();
  } catch (error) {
    tell(`Airflow does not answer: ${error.message}`, "bad");
  } finally {
    button.disabled = false;
  }
}

function putInPlace(live, drawn) {
  const focused = live.contains(document.activeElement) ? document.activeElement.id : null;
  if (focused === "") return; // what has no name of its own cannot be found again in what is drawn
  for (const open of live.querySelectorAll("details[open]")) drawn.querySelector(`[id="${open.id}"]`)?.setAttribute("open", "");
  live.replaceWith(drawn);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

async function refresh() {
  const live = document.querySelector("[data-refresh]");
  if (!live || document.hidden) return;
  const answer = await fetch(live.dataset.refresh, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const drawn = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-refresh]");
  if (!drawn) return;
  const old = drawn.dataset.mark !== live.dataset.mark;
  putInPlace(live, drawn);
  if (old) document.querySelector("#stale")?.removeAttribute("hidden");
  if (old && !document.querySelector("details.act[open]")) location.reload();
}

async function keepFresh() {
  await refresh().catch(() => {}); // Airflow is away: the next look may find it
  const busy = document.querySelector("[data-refresh]")?.dataset.busy;
  setTimeout(keepFresh, 1000 * (busy ? FRESH_SECONDS.busy : FRESH_SECONDS.idle));
}

followTheme();
document.addEventListener("click", leadOut);
document.addEventListener("submit", act);
document.querySelector("[data-reload]")?.addEventListener("click", () => location.reload());
if (document.querySelector("[data-refresh]")) setTimeout(keepFresh, 1000 * FRESH_SECONDS.busy);
