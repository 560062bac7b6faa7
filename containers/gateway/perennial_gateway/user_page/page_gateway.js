// The gateway, and the token that it may ask for.

const TIMEOUT_MS = 120_000;
const STORED = "perennial-token";
export const SENDABLE = /^[\x21-\x7e]+$/; // what a header can hold

const by = (id) => document.getElementById(id);

export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export async function call(path, body, headers = {}) {
  const token = sessionStorage.getItem(STORED);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    const method = body === undefined ? "GET" : "POST";
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    answer = await fetch(path, { method, body, headers, signal, credentials: "omit", cache: "no-store" });
  } catch (error) {
    throw new Refusal(0, `The gateway cannot be reached (${error.message}). Try again.`);
  }
  const told = answer.status === 204 ? {} : await answer.json().catch(() => null);
  if (answer.ok && told) return told;
  if (answer.status === 401) askForToken(told?.error ?? "A token is asked for.");
  const otherwise = `The gateway answered with status ${answer.status}. Try again.`;
  throw new Refusal(answer.status, told?.error ?? otherwise);
}

function askForToken(sentence) {
  by("token-part").hidden = false;
  by("token-said").textContent = sentence;
  by("token").focus();
}

function tellOfToken() {
  const isKept = Boolean(sessionStorage.getItem(STORED));
  by("forget").hidden = !isKept;
  if (isKept) {
    by("token-part").hidden = false;
    by("token-said").textContent = "Your token is used. It stays in this tab alone, until you close it.";
  }
}

async function useToken(event, isKnown) {
  event.preventDefault();
  const token = by("token").value.trim();
  if (!SENDABLE.test(token)) {
    return askForToken("This is no token: one has letters, digits and signs, and no spaces.");
  }
  sessionStorage.setItem(STORED, token);
  try {
    await call("../../token");
  } catch (refusal) {
    if (refusal.status === 401) sessionStorage.removeItem(STORED);
    by("token-said").textContent = refusal.message;
    return;
  }
  by("token").value = "";
  tellOfToken();
  isKnown();
}

function forgetToken() {
  sessionStorage.removeItem(STORED);
  by("forget").hidden = true;
  by("token-said").textContent = "The token is forgotten. Enter one to ask again.";
  by("token").focus();
}

// Listen for a token; `isKnown` is called for one that the gateway knows.
export function watchToken(isKnown) {
  by("token-form").addEventListener("submit", (event) => useToken(event, isKnown));
  by("forget").addEventListener("click", forgetToken);
  tellOfToken();
}

export const mayAsk = () => by("token-part").hidden || Boolean(sessionStorage.getItem(STORED));
