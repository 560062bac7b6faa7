// What the Models pages do in the browser: ask Airflow's REST API as the person who is logged in, keep what is at
// work fresh, follow Airflow's theme, and lead out of the frame that Airflow shows the pages in.
"use strict";

const FRESH_SECONDS = { busy: 3, idle: 15 };
let nextLook;
const started = new Map(); // the runs that buttons of this page started and that have not ended, by where each is told

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
  const said = typeof told.detail === "string" ? told.detail : JSON.stringify(told.detail ?? "");
  const detail = said.split("\n")[0].trim(); // a schema may follow, which helps nobody here
  if (answer.status === 403) return `Airflow refused: your account may not do this. ${detail}`;
  if (answer.status === 401) return "You are not logged in to Airflow any more: log in and try again.";
  return `Airflow refused (HTTP ${answer.status}): ${detail}`;
}

function tell(outcome, tone, ...parts) {
  outcome.replaceChildren(...parts);
  outcome.className = `outcome small ${tone}`;
}

function linkTo(href, text) {
  const link = document.createElement("a");
  Object.assign(link, { href, textContent: text, className: "out" });
  return link;
}

async function asked(url) {
  const answer = await fetch(url, { headers: { Accept: "application/json" } });
  return answer.ok ? answer.json() : null;
}

async function whyItFailed(run, page) {
  const tasks = (await asked(`${run.url}/taskInstances?state=failed`))?.task_instances ?? [];
  if (!tasks.length) return ["Its page in Airflow says what of it failed."];
  const { task_id: task, map_index: index, try_number: attempt } = tasks[0];
  const log = await asked(`${run.url}/taskInstances/${encodeURIComponent(task)}/logs/${attempt}?map_index=${index}&full_content=true`);
  const faults = (Array.isArray(log?.content) ? log.content : []).flatMap((line) => line?.error_detail ?? []);
  const why = faults.map((each) => each.exc_value).filter(Boolean).pop();
  const place = `${page}/tasks/${encodeURIComponent(task)}${index >= 0 ? `/mapped/${index}` : ""}`;
  return [`Its task ${task} failed${why ? `: ${why.trim().slice(0, 600)} ` : ". "}`, linkTo(place, "The task's log")];
}

async function whatIsNotTrained(run, now) {
  if (now.dag_id !== "recall_batch") return [];
  const entry = await asked(`${run.url}/taskInstances/tickets/xcomEntries/return_value`);
  const asks = (typeof entry?.value === "string" ? JSON.parse(entry.value) : entry?.value) ?? [];
  return asks.map((each) => each.ticket).filter((ticket) => !ticket.granted)
    .map((ticket) => ` But ${ticket.model} is not trained again without them now: ${ticket.reason}`);
}

async function tellRun(outcome, run, now) {
  if (!now || now.state === run.state) return;
  const page = `${run.airflow}/dags/${encodeURIComponent(now.dag_id)}/runs/${encodeURIComponent(now.dag_run_id)}`;
  const link = linkTo(page, `${now.dag_run_id} of ${now.dag_id}`);
  const ended = now.state === "success" || now.state === "failed";
  if (now.state === "success") {
    const left = await whatIsNotTrained(run, now);
    tell(outcome, left.length ? "warn" : "good", "Done: ", link, " succeeded.", ...left);
  }
  else if (now.state === "failed") tell(outcome, "bad", "Failed: ", link, " did not do what you asked. ", ...(await whyItFailed(run, page)));
  else tell(outcome, "calm", `Started, and ${now.state} now: `, link, ". How it ends will stand here.");
  run.state = now.state;
  outcome.scrollIntoView({ block: "nearest" });
  if (!ended) return;
  started.delete(outcome);
  document.querySelector("#stale")?.removeAttribute("hidden");
}

async function act(event) {
  const form = event.target;
  if (!form.dataset.url) return;
  event.preventDefault();
  const outcome = form.querySelector(".outcome"), button = form.querySelector("button[type=submit]");
  button.disabled = true;
  started.delete(outcome);
  tell(outcome, "", "Asking Airflow …");
  try {
    const answer = await fetch(form.dataset.url, {
      method: form.dataset.method,
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(wishOf(form)),
    });
    if (!answer.ok) return tell(outcome, "bad", await whyRefused(answer));
    const done = await answer.json();
    if (form.dataset.method === "PATCH") tell(outcome, "good", "Answered.");
    else {
      const run = { url: `${form.dataset.url}/${encodeURIComponent(done.dag_run_id)}`, airflow: form.dataset.url.split("/api/v2/")[0] };
      started.set(outcome, run);
      await tellRun(outcome, run, done);
    }
    soon();
  } catch (error) {
    tell(outcome, "bad", `Airflow does not answer: ${error.message}`);
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
  if (old && !started.size && !document.querySelector("details.act[open]")) location.reload();
}

async function keepFresh() {
  const away = () => {}; // Airflow does not answer: the next look may find it
  for (const [outcome, run] of started) await asked(run.url).then((now) => tellRun(outcome, run, now)).catch(away);
  await refresh().catch(away);
  const busy = started.size || document.querySelector("[data-refresh]")?.dataset.busy;
  soon(busy ? FRESH_SECONDS.busy : FRESH_SECONDS.idle);
}

function soon(seconds = 0) {
  clearTimeout(nextLook);
  nextLook = setTimeout(keepFresh, 1000 * seconds);
}

function sayWhatIsWanted(event) {
  const { validity, dataset } = event.target;
  if (dataset.wanted && !validity.valueMissing) event.target.setCustomValidity(dataset.wanted);
}

function addLine(event) {
  const chosen = event.target, into = document.getElementById(chosen.dataset.adds ?? "");
  if (!into || !chosen.value) return;
  const lines = into.value.split(/\s*\n\s*/).filter(Boolean);
  if (!lines.includes(chosen.value)) into.value = [...lines, chosen.value].join("\n");
  into.setCustomValidity("");
  chosen.selectedIndex = 0;
}

followTheme();
document.addEventListener("change", addLine);
document.addEventListener("click", leadOut);
document.addEventListener("submit", act);
document.addEventListener("invalid", sayWhatIsWanted, true); // this event does not bubble
document.addEventListener("input", (event) => event.target.setCustomValidity?.(""));
document.querySelector("[data-reload]")?.addEventListener("click", () => location.reload());
if (document.querySelector("[data-refresh]")) soon(FRESH_SECONDS.busy);
