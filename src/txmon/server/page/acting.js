// What a person does about an incident: a button for each action, and a form for the author and the note.
import { $, ask, button, element, isolated, say, store, stored } from "./dom.js";
import { keyText, labelText } from "./incidents.js";
import { known, labelOf, listen, now } from "./store.js";
import { moment, onZone, seconds } from "./time.js";

const ACTIONS = {
  ack: ["Acknowledge", "no reminders until it is twice as bad"],
  undo: ["Undo", "reminders again"],
  accept: ["Accept", "this level is normal; the incident ends with the next bucket"],
  ignore: ["Ignore", "acknowledge it, and unlearn what it taught the baselines"],
  silence: ["Silence", "no notifications until then; txmon continues to detect"],
};
const HOURS = [0.5, 2, 8, 24, 168];
const at = (time) => moment(time, now());
const nameOf = (status, key) => `${status === known.total ? "all statuses" : labelOf(status)}${keyText(key) ? ` at ${keyText(key)}` : ""}`;

function choice(label, rows) {
  const made = element("select");
  made.append(...rows.map(([value, text]) => new Option(text, value)));
  return [element("label", "", label, made), made];
}

function text(label, value = "") {
  const made = element("input");
  made.maxLength = 500;
  made.value = value;
  return [element("label", "", label, made), made];
}

function formOf(row, action, done) {
  const [name, effect] = ACTIONS[action];
  const form = element("form", "ack-form");
  const [authorLabel, author] = text("Your name ", stored("author") || "");
  const [noteLabel, note] = text("Note ");
  const problem = element("p", "wrong");
  const send = element("button", "", name);
  author.autocomplete = "name";
  problem.setAttribute("role", "alert");
  form.setAttribute("aria-label", `${name}: ${effect}`);
  form.append(element("p", "why", `${name}: ${effect}.`));
  let path = `incidents/${encodeURIComponent(row.id)}/ack`;
  let body = () => ({ action });
  if (action === "silence") {
    const all = [...new Set([...row.statuses, known.total])];
    if (row.statuses.length > 1) all.reverse(); // one status would not silence an incident of several
    const [whatLabel, what] = choice("What ", all.map((one) => [one, nameOf(one, row.key)]));
    const [spanLabel, span] = choice("Until ", HOURS.map((one) => [`${one * 60}m`, at(now() + one * 3600)]));
    span.selectedIndex = 1;
    form.append(whatLabel, spanLabel);
    path = "silences";
    body = () => ({ status: what.value, key: row.key, for: span.value });
  }
  form.append(authorLabel, noteLabel, send, button("Cancel", () => done()), problem);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const by = author.value.trim();
    store("author", by);
    try {
      const found = await ask(`v1/${path}`, { ...body(), author: by, note: note.value.trim() });
      say($("said"), `${name}: done.`);
      done(found);
    } catch (wrong) {
      send.disabled = false;
      say(problem, `Not done: ${wrong.message}.`);
    }
  });
  return form;
}

// How an incident stands with people, and what they can do; after: gets the server's answer
export function acting(row, after) {
  const place = element("div", "acting");
  const by = row.author ? ` by ${row.author}` : "";
  if (row.acknowledged) place.append(element("p", "why", `Acknowledged${by}${row.note ? `: ${row.note}` : ""}`));
  if (row.ending) {
    place.append(element("p", "why", `${row.ending}; it ends with the next bucket.`));
    return place;
  }
  const bar = element("div", "chips");
  for (const action of [row.acknowledged ? "undo" : "ack", "accept", "ignore", "silence"]) {
    const [name] = ACTIONS[action];
    bar.append(button(name, (opener) => {
      const form = formOf(row, action, (found) => {
        form.replaceWith(bar);
        opener.focus();
        if (found) after(found);
      });
      bar.replaceWith(form);
      (form.querySelector("select") || form.querySelectorAll("input")[stored("author") ? 1 : 0]).focus();
    }, `${name}: ${labelText(row)} since ${at(seconds(row.start))}`));
  }
  place.append(bar);
  return place;
}

let drawn = "";
function draw() {
  const rows = known.silences.filter((one) => seconds(one.until) > now());
  const lines = rows.map((one) => {
    const by = one.author || one.note ? ` (${[one.author, one.note].filter(Boolean).join(": ")})` : "";
    return isolated(`Silenced until ${at(seconds(one.until))}: ${nameOf(one.status, one.key)}${by}. `, [one.status]);
  });
  if (lines.join() === drawn) return; // somebody may be at a button of it
  drawn = lines.join();
  $("silences").hidden = !rows.length;
  $("silences").replaceChildren(...rows.map((one, i) => element("div", "", lines[i], button("End", async () => {
    try {
      await ask("v1/silences", { status: one.status, key: one.key, for: 0 });
    } catch (wrong) { say($("said"), `Not ended: ${wrong.message}.`); }
  }, `End the silence of ${nameOf(one.status, one.key)}`))));
}

export function begin() {
  listen((kind) => { if (kind === "all" || kind === "silences" || kind === "bucket") draw(); });
  onZone(() => { drawn = ""; draw(); });
}
