// Elements, text and requests. Text goes in as text, never as HTML.

// The page may be shown under any path: everything is asked for beside the folder that has this file
export const root = new URL("..", import.meta.url);

const LONG = 40; // characters of a name in a sentence

export const $ = (id) => document.getElementById(id);

// element("p", "why", "some text", child): a tag, class names, and what is in it
export function element(tag, names = "", ...inside) {
  const made = document.createElement(tag);
  if (names) made.className = names;
  made.append(...inside.filter((one) => one !== undefined && one !== null));
  return made;
}

// A name that a client made up: isolated from the text around it, cut where it is too long, whole in its tooltip
export function nameOf(text) {
  const made = element("bdi", "name", text);
  if (text.length > 24) made.title = text;
  return made;
}

// Names inside a sentence: those of other scripts do not turn its numbers around, and long ones do not fill the screen
export function isolated(text, names) {
  let found = text;
  for (const name of names) {
    if (name.length > LONG) found = found.replaceAll(name, `${name.slice(0, LONG - 1)}…`);
    if (/[^\x20-\x7e]/.test(name)) found = found.replaceAll(name, `\u2068${name}\u2069`);
  }
  return found;
}

export function button(text, act, label) {
  const made = element("button", "", text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", () => act(made));
  return made;
}

export function link(path, text, names = "") {
  const made = element("a", names, text);
  made.href = new URL(path, root).href;
  return made;
}

// Setting text only where it changed: a screen reader says what is set
export function say(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// The answer of the server as JSON; Refused with its status where it is an error
export async function ask(path, body) {
  const options = { signal: AbortSignal.timeout(20e3) };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(new URL(path, root), options);
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  let detail = `error ${answer.status}`;
  try { detail = (await answer.json()).detail; } catch { /* not one of txmon's own answers */ }
  throw new Refused(answer.status, detail);
}

export function stored(name) {
  try { return localStorage.getItem(`txmon-${name}`); } catch { return null; }
}

export function store(name, value) {
  try { localStorage.setItem(`txmon-${name}`, value); } catch { /* a browser that keeps nothing */ }
}

// `act` once, a moment after the last call
export function later(act, ms) {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(act, ms); };
}
