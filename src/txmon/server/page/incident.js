// The page of one incident: what happened, how it looked, who was told, and what people said.
import { $, Refused, ask, button, element, isolated, later, link, nameOf, root, say } from "./dom.js";
import { Charts } from "./charts.js";
import { acting } from "./acting.js";
import { chips, driversText, excessText, keyPath, keyText, labelText, moneyText, seenText } from "./incidents.js";
import { inOrder, known, labelOf, listen } from "./store.js";
import * as range from "./range.js";
import { clockSeconds, dateTime, length, onZone, seconds, weekday, zoneName } from "./time.js";

const BEFORE = 3600;
const AFTER = 1800;
let id;
let found = null;
let charts;

const over = () => found.state === "resolved";
const start = () => seconds(found.start);
const end = () => (over() ? seconds(found.time) : (known.last ?? seconds(found.time)) + known.bucket);

function fact(list, name, ...value) {
  list.append(element("dt", "", name), element("dd", "", ...value));
}

function drawFacts() {
  const list = $("facts");
  list.replaceChildren();
  fact(list, "Severity", element("span", `severity ${found.severity}`, found.severity));
  fact(list, "State", over() ? "resolved" : found.state === "opened" ? "open" : `open, ${found.state}`);
  fact(list, over() ? "From" : "Since", `${weekday(start())} ${dateTime(start()).split(" ").pop()} ${zoneName()}`);
  if (over()) fact(list, "To", dateTime(end()));
  fact(list, "Lasted", `${length(end() - start())}${over() ? "" : " so far"}${found.times > 1 ? `, on and off, ${found.times} times` : ""}`);
  if (Object.keys(found.key).length) fact(list, "Key", link(keyPath(found.key), nameOf(keyText(found.key))));
  fact(list, "Statuses", chips(found));
  fact(list, "Peak", `${found.observed} seen, ${found.expected} expected at ${dateTime(seconds(found.peak))}`);
  fact(list, "Size", excessText(found).replace(" so far", over() ? "" : " so far"));
  for (const one of moneyText(found)) fact(list, "Money", one);
  for (const one of driversText(found)) fact(list, "Drivers", one);
  if (found.key_count) {
    const rows = found.keys.map((one) => element("li", "", link(keyPath(one.key), nameOf(keyText(one.key))), `: ${one.excess > 0 ? "+" : ""}${one.excess}`));
    fact(list, `Keys (${found.key_count})`, element("ul", "", ...rows));
  }
  if (found.usual) fact(list, "Level", `${found.usual} times the usual`);
  if (found.parent) fact(list, "Part of", link(`incidents/${encodeURIComponent(found.parent)}`, found.parent));
}

function drawDetails() {
  const rows = found.details.map((one) => {
    const name = element("th", "", nameOf(labelOf(one.status)));
    name.scope = "row";
    const cells = [dateTime(seconds(one.time)), String(one.count), String(one.expected), one.score.toFixed(1)];
    return element("tr", "", name, ...cells.map((text) => element("td", "", text)));
  });
  $("detail-rows").replaceChildren(...rows);
  $("detail-table").hidden = rows.length === 0;
}

const KINDS = { step: "", word: "", notification: "notified" };

function drawTimeline() {
  const rows = [...found.timeline].sort((a, b) => seconds(a.time) - seconds(b.time));
  let day = "";
  const items = [];
  for (const one of rows) {
    const time = seconds(one.time);
    if (weekday(time) !== day) { day = weekday(time); items.push(element("li", "day", day)); }
    const moment = element("time", "", clockSeconds(time));
    moment.dateTime = one.time;
    const by = one.kind === "notification" ? ` to ${one.by}` : one.by ? ` by ${one.by}` : "";
    const what = element("b", "", `${KINDS[one.kind] ? `${KINDS[one.kind]}: ` : ""}${one.what}${by}`);
    items.push(element("li", one.kind, moment, " ", what, " ", isolated(one.text, found.statuses)));
  }
  $("timeline").replaceChildren(...items);
  const told = rows.filter((one) => one.kind === "notification").length;
  say($("told"), told ? `${told} ${told === 1 ? "notification" : "notifications"}.` : "No notification was sent, or txmon runs without --notify.");
}

function drawActing() {
  const place = $("acting");
  if (place.querySelector("form")) return;
  place.replaceChildren();
  place.append(over() ? element("p", "why", "Resolved; there is nothing to do.") : acting(found, load));
}

const csvOf = () => new URL(`v1/incidents/${encodeURIComponent(id)}/counts.csv`, root).href;
const jsonOf = () => new URL(`v1/incidents/${encodeURIComponent(id)}`, root).href;

// As a text for a ticket or a chat
export function markdown(one) {
  const escaped = (text) => String(text).replace(/[\\`*_[\]<>|#]/g, "\\$&").replace(/\s+/g, " ");
  const lines = [
    `## ${escaped(one.label)}${keyText(one.key) ? ` at ${escaped(keyText(one.key))}` : ""}`, "",
    escaped(seenText(one)), "",
    `- Severity: ${one.severity}; state: ${one.state}`,
    `- From ${one.start}${one.state === "resolved" ? ` to ${one.time}` : ", still open"}`,
    `- Peak: ${one.observed} seen, ${one.expected} expected at ${one.peak}`,
    `- ${escaped(excessText(one))}`,
    ...moneyText(one).map((text) => `- Money: ${escaped(text)}`),
    ...driversText(one).map((text) => `- Driver: ${escaped(text)}`), "",
  ];
  if (one.details.length) {
    lines.push("| status | time | seen | expected | sigma |", "| --- | --- | --- | --- | --- |");
    for (const row of one.details) {
      lines.push(`| ${escaped(labelOf(row.status))} | ${row.time} | ${row.count} | ${row.expected} | ${row.score.toFixed(1)} |`);
    }
    lines.push("");
  }
  lines.push("### Timeline", "");
  for (const step of one.timeline) {
    const by = step.by ? ` (${escaped(step.by)})` : "";
    lines.push(`- ${step.time} ${step.kind === "step" ? "" : `${step.kind}: `}${step.what}${by}${step.text ? `: ${escaped(step.text)}` : ""}`);
  }
  lines.push("", location.href.split("?")[0]);
  return `${lines.join("\n")}\n`;
}

async function copy(control) {
  const text = markdown(found);
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // without https a page may not write there: the text is shown, and selected
    done = false;
  }
  $("copied").hidden = done;
  $("copied").value = text;
  if (!done) { $("copied").focus(); $("copied").select(); }
  say($("copy-said"), done ? "Copied." : "Select and copy the text below.");
  control.blur();
  if (done) control.focus();
}

let history = {};
async function drawCharts() {
  const [from, to] = range.current();
  const key = Object.keys(found.key).length ? `&key=${encodeURIComponent(decodeURIComponent(keyPath(found.key).slice(5)))}` : "";
  const since = Math.max(0, Math.floor(from) - known.bucket);
  try {
    history = (await ask(`v1/history?from=${since}&to=${Math.ceil(to)}${key}`)).series;
  } catch { return; }
  const names = inOrder(Object.keys(history));
  const of = names.filter((status) => found.statuses.includes(status));
  const shown = [...of, ...names.filter((status) => !of.includes(status))].slice(0, 12);
  for (const status of shown) charts.set(status, labelOf(status), history[status]);
  charts.keep(shown);
  say($("around-note"), shown.length ? "" : "The counts of that time are not known any more. `--log FOLDER` keeps them.");
}

function draw() {
  document.title = `txmon: ${labelText(found)}`;
  say($("incident-title"), `${labelText(found)}${keyText(found.key) ? ` at ${keyText(found.key)}` : ""}`);
  say($("incident-text"), seenText(found));
  drawFacts();
  drawDetails();
  drawTimeline();
  drawActing();
}

async function load() {
  try {
    found = await ask(`v1/incidents/${encodeURIComponent(id)}`);
  } catch (wrong) {
    if (wrong instanceof Refused && wrong.status === 404) {
      say($("incident-title"), "No such incident");
      say($("incident-text"), `No incident of the last 30 days has the id ${id}.`);
      for (const part of $("incident").querySelectorAll("section:not(:first-of-type)")) part.hidden = true;
      $("export").hidden = true;
    }
    return;
  }
  if (range.isLive()) range.begin(start() - BEFORE, over() ? end() + AFTER : end());
  draw();
  await drawCharts();
}

export function begin(identity) {
  id = identity;
  $("incident").hidden = false;
  charts = new Charts($("around"), 170);
  const soon = later(load, 50);
  const charted = later(() => { if (found) drawCharts(); }, 120);
  listen((kind, what) => {
    if (kind === "all" || (kind === "incident" && what.id === id)) soon();
    if (kind === "bucket" && found && !over()) charted();
  });
  range.onRange(charted);
  onZone(() => { if (found) draw(); });
  $("copy").addEventListener("click", () => copy($("copy")));
  $("csv").href = csvOf();
  $("csv").download = `${id}.csv`;
  $("json").href = jsonOf();
  $("json").download = `${id}.json`;
  $("export").prepend(button("Whole incident", () => found && range.zoom(start() - BEFORE, over() ? end() + AFTER : end()), "Show the whole incident in the charts"));
}
