// Incidents as cards and as rows: what is open, and what was resolved in the last 30 days.
import { acting } from "./acting.js";
import { $, ask, element, isolated, later, link, nameOf, say } from "./dom.js";
import { short, sparkline } from "./charts.js";
import { known, labelOf, listen, now, worstFirst } from "./store.js";
import { length, moment, onZone, seconds } from "./time.js";

const ROWS = 20;
const cards = new Map();

export const keyText = (key) => Object.entries(key).map(([name, value]) => `${name} ${value}`).join(", ");
export const keyPath = (key) => `keys/${encodeURIComponent(Object.entries(key)
  .map((pair) => pair.map(encodeURIComponent).join("=")).join("&")).replaceAll("%3D", "=").replaceAll("%26", "&")}`;
export const pathOf = (row) => `incidents/${encodeURIComponent(row.id)}`;

// 93 % of the excess is issuer B7 (61 seen, 5 expected)
export function driversText(row) {
  if (!row.drivers) return [];
  if (!row.drivers.length) return ["spread evenly over the values of all drivers"];
  const share = Math.min(1, row.drivers.reduce((sum, one) => sum + one.share, 0));
  const words = row.drivers.map((one) => {
    const [first, ...rest] = Object.entries(one.values).map(([name, value]) => `${name.replaceAll("_", " ")} ${value || "(none)"}`);
    return [`${first} (${one.seen} seen, ${one.expected >= 9.5 ? one.expected.toFixed(0) : Number(one.expected.toPrecision(2))} expected)`, ...rest].join(", ");
  });
  return [`${(100 * share).toFixed(0)} % of the excess is ${words.join("; ")}`];
}

// 12.4 k USD above normal (10.1 k to 14.7 k); each currency by itself
export function moneyText(row) {
  return (row.money || []).map((one) => {
    const name = one.currency ? ` ${one.currency}` : "";
    if (one.low <= 0 && one.high >= 0) return `${short(one.excess)}${name}, within normal variation`;
    const ends = [Math.abs(one.low), Math.abs(one.high)].sort((x, y) => x - y).map((end) => short(Math.round(end)));
    return `${short(Math.round(Math.abs(one.excess)))}${name} ${one.excess < 0 ? "below" : "above"} normal (${ends.join(" to ")})`;
  });
}

// What was seen, in words; drivers and money, which the server adds there, have lines of their own
export function seenText(row) {
  let text = row.explanation || row.text;
  if (row.drivers) text = text.replace(/; (\d+% of the excess is|spread evenly over) .*$/, "");
  if (row.money) text = text.replace(/; [+\d,.]+( [A-Z]{3})?( (above|below) normal|, within normal variation).*$/, "");
  return isolated(text, row.statuses);
}

export const labelText = (row) => isolated(row.label, row.statuses);

export function excessText(row) {
  const size = short(Math.abs(Math.round(row.excess)));
  return `${size} transactions ${row.excess < 0 ? "missing" : "above normal"} so far`;
}

export function chips(row) {
  const list = element("ul", "chips");
  for (const status of row.statuses) list.append(element("li", "", nameOf(labelOf(status))));
  list.setAttribute("aria-label", "Statuses");
  return list;
}

export function title(row) {
  const severity = element("span", `severity ${row.severity}`, row.severity);
  const where = Object.keys(row.key).length ? [" at ", link(keyPath(row.key), nameOf(keyText(row.key)))] : [];
  const name = link(pathOf(row), labelText(row));
  const state = row.state === "opened" || row.state === "reopened" ? "" : ` (${row.state})`;
  return [severity, " ", name, ...where, `${state}, since ${moment(seconds(row.start), now())}, ${length(now() - seconds(row.start))}`];
}

async function fillSpark(row, place) {
  const root = row.details && row.details.length ? row.details[0].status : row.statuses[0];
  if (!Object.keys(row.key).length) { place.replaceChildren(sparkline(known.series[root] || [])); return; }
  const until = known.last ?? seconds(row.time);
  const key = decodeURIComponent(keyPath(row.key).slice(5));
  try {
    const found = await ask(`v1/history?from=${until - 3600}&to=${until}&key=${encodeURIComponent(key)}`);
    place.replaceChildren(sparkline(found.series[root] || []));
  } catch { /* the card says all of it in words */ }
}

function card(row) {
  const item = element("li", `${row.severity}${row.acknowledged ? " acknowledged" : ""}`);
  item.dataset.id = row.id;
  item.append(element("p", "what", ...title(row)));
  const body = element("div", "body");
  const spark = element("div", "spark-place");
  const words = element("div");
  body.append(spark, words);
  words.append(element("p", "", seenText(row)));
  words.append(element("p", "why", [excessText(row), ...moneyText(row)].join("; ")));
  for (const one of driversText(row)) words.append(element("p", "driver", one));
  const details = (row.details || []).slice(0, 6);
  if (details.length > 1) {
    const list = element("ul", "details");
    for (const one of details) {
      const score = `${one.score > 0 ? "+" : ""}${one.score.toFixed(1)} sigma`;
      list.append(element("li", "", nameOf(labelOf(one.status)), `: ${one.count} seen, ${one.expected} expected, ${score}`));
    }
    words.append(list);
  } else words.append(chips(row));
  if (row.key_count) words.append(element("p", "why", `${row.key_count} keys: ${row.keys.slice(0, 5).map((one) => keyText(one.key)).join("; ")}`));
  item.append(body);
  item.append(acting(row, (found) => {
    if (!found.id) return;
    known.incidents.set(found.id, found);
    draw();
    cards.get(found.id).item.querySelector("a").focus();
  }));
  fillSpark(row, spark);
  return item;
}

// Cards whose incident did not change stay: somebody may be writing a note in one
function draw() {
  const list = $("incident-list");
  const rows = worstFirst(known.incidents.values());
  const wanted = rows.map((row) => {
    const text = JSON.stringify(row);
    const old = cards.get(row.id);
    if (old && (old.text === text || old.item.querySelector("form"))) return old.item;
    const item = card(row);
    cards.set(row.id, { item, text });
    return item;
  });
  for (const id of cards.keys()) if (!known.incidents.has(id)) cards.delete(id);
  if (wanted.length !== list.children.length || wanted.some((item, i) => list.children[i] !== item)) list.replaceChildren(...wanted);
  $("no-incidents").hidden = rows.length > 0;
  say($("open-count"), rows.length ? ` (${rows.length})` : "");
}

export function row(one) {
  const end = seconds(one.time);
  const start = seconds(one.start);
  const where = keyText(one.key);
  return element("tr", "",
    element("td", "", link(pathOf(one), moment(start, now()))),
    element("td", "", element("span", `severity ${one.severity}`, one.severity)),
    element("td", "", labelText(one), where ? " at " : "", where ? nameOf(where) : ""),
    element("td", "", one.state === "resolved" ? length(end - start) : "open"),
    element("td", "", short(Math.round(one.excess))),
    element("td", "", one.author || one.note ? `${one.author} ${one.note}`.trim() : ""));
}

let asked = 0;
async function drawResolved() {
  const mine = ++asked;
  const find = $("resolved-search").value.trim();
  try {
    const found = await ask(`v1/incidents?state=resolved&limit=${ROWS}${find ? `&find=${encodeURIComponent(find)}` : ""}`);
    if (mine !== asked) return;
    $("resolved").replaceChildren(...found.incidents.map(row));
    $("resolved-table").hidden = found.incidents.length === 0;
    say($("resolved-note"), found.incidents.length === 0 ? (find ? `Nothing contains "${find}".` : "None.")
      : found.truncated ? `The newest ${ROWS}. Search to see others.` : "");
  } catch { /* the state in the header says so */ }
}

export function begin() {
  const soon = later(drawResolved, 200);
  listen((kind, what) => {
    if (kind === "all") { cards.clear(); draw(); soon(); }
    if (kind === "incident") { draw(); if (what.state === "resolved") soon(); }
    if (kind === "bucket") { // the lines go on, the words are as they were
      for (const [id, { item }] of cards) {
        const one = known.incidents.get(id);
        if (one) fillSpark(one, item.querySelector(".spark-place"));
      }
    }
  });
  onZone(() => { cards.clear(); draw(); drawResolved(); });
  $("resolved-search").addEventListener("input", soon);
}
