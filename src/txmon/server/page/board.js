// The first page: open incidents, charts, keys, the last hour, the latest alerts.
import { $, element, isolated } from "./dom.js";
import { short } from "./charts.js";
import * as heat from "./heat.js";
import * as incidents from "./incidents.js";
import * as mix from "./mix.js";
import * as panels from "./panels.js";
import { known, labelOf, listen, now, statuses } from "./store.js";
import { moment, onZone, seconds } from "./time.js";

const LOG = 12;
let alerts = [];

// What alerted before this page was opened, as far as the charts know it
function earlier() {
  const found = [];
  for (const [status, points] of Object.entries(known.series)) {
    for (const point of points.slice(-360)) {
      if (point[6] < 1) continue;
      const text = `${short(point[1])} ${labelOf(status)}, normal is ${short(point[3])} to ${short(point[4])}`;
      found.push({ at: point[0], status, recommendation: point[6] === 2 ? "alert" : "pending", text });
    }
  }
  return found.sort((a, b) => b.at - a.at).slice(0, LOG);
}

function line(verdict) {
  const at = verdict.at ?? seconds(verdict.time);
  const time = element("time", "", moment(at, now()));
  time.dateTime = new Date(at * 1e3).toISOString();
  const names = verdict.status ? [verdict.status] : [];
  return element("li", "", time, element("span", `word ${verdict.recommendation}`, verdict.recommendation), " ",
    isolated(verdict.text, names), verdict.partial ? " so far" : "");
}

export function begin() {
  $("board").hidden = false;
  incidents.begin();
  panels.begin();
  heat.begin();
  mix.begin();
  const drawLog = () => {
    $("log").replaceChildren(...alerts.map(line));
    $("no-alerts").hidden = alerts.length > 0;
  };
  listen((kind, what) => {
    if (kind === "all" || kind === "bucket") $("empty").hidden = statuses().length > 0;
    if (kind === "all") { alerts = earlier(); drawLog(); }
    if (kind === "alert") { alerts = [what, ...alerts].slice(0, LOG); drawLog(); }
  });
  onZone(drawLog);
}
