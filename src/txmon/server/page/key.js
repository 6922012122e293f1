// The page of one key: its statuses, and its incidents.
import { $, ask, later, nameOf, say } from "./dom.js";
import { Charts } from "./charts.js";
import { keyText, row } from "./incidents.js";
import { inOrder, known, labelOf, listen } from "./store.js";
import * as range from "./range.js";
import { dateTime, seconds } from "./time.js";

let text;
let key;
let charts;

async function drawCharts() {
  const [from, to] = range.current();
  const since = Math.max(0, Math.floor(from) - known.bucket);
  let found;
  try {
    found = await ask(`v1/history?from=${since}&to=${Math.ceil(to)}&key=${encodeURIComponent(text)}`);
  } catch { return; }
  const names = inOrder(Object.keys(found.series));
  for (const status of names) charts.set(status, labelOf(status), found.series[status]);
  charts.keep(names);
  const begins = seconds(found.begins);
  const short = begins > from + found.step ? ` Known since ${dateTime(begins)}: txmon keeps 180 buckets of each key, and more with --log FOLDER.` : "";
  say($("key-note"), names.length ? short : `Nothing is known of this key in this range.${short}`);
}

async function drawIncidents() {
  const entries = Object.entries(key);
  const find = entries.map(([name, value]) => `${name}=${value}`)[0];
  try {
    const found = await ask(`v1/incidents?state=all&limit=200&find=${encodeURIComponent(find)}`);
    const own = found.incidents.filter((one) => entries.every(([name, value]) => one.key[name] === value));
    $("key-incidents").replaceChildren(...own.map(row));
    $("key-incidents-table").hidden = own.length === 0;
    $("key-no-incidents").hidden = own.length > 0;
  } catch { /* the state in the header says so */ }
}

export function begin(name) {
  text = name;
  key = Object.fromEntries(name.split("&").map((part) => part.split("=").map(decodeURIComponent)));
  $("key").hidden = false;
  $("key-title").replaceChildren(nameOf(keyText(key)));
  document.title = `txmon: ${keyText(key)}`;
  charts = new Charts($("key-charts"), 150);
  const soon = later(drawCharts, 120);
  listen((kind, what) => {
    if (kind === "all") { soon(); drawIncidents(); }
    if (kind === "bucket" && range.isLive()) soon();
    if (kind === "incident" && keyText(what.key) === keyText(key)) drawIncidents();
  });
  range.onRange(soon);
}

