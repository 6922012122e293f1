// The charts of the board: what alerts now is large and first, the others are small; search, ranges and the readout.
import { $, element, later, nameOf, say } from "./dom.js";
import { Charts, onHover, placeOf, short } from "./charts.js";
import { inOrder, known, labelOf, listen, pointsOf, statuses } from "./store.js";
import * as range from "./range.js";
import { clock, dateTime, onZone, zoneName } from "./time.js";

const SMALL = 12; // small charts that are drawn before "Show all"
const LARGE = 6;
let large;
let small;
let all = false;
let sought = "";

// What alerts comes first, then what was strangest in the last ten minutes
function strangest(status) {
  const points = (known.series[status] || []).slice(-10);
  const mark = points.length ? points[points.length - 1][6] : 0;
  const score = Math.max(0, ...points.map((point) => Math.abs(point[5])));
  return [mark, ["*", "failed", "reversed", "denied", "approved"].includes(status) ? Math.max(score, 3) : score];
}

function inIncident(status) {
  for (const row of known.incidents.values()) if (row.statuses.includes(status)) return true;
  return false;
}

// The line is the sum of all keys, and may well be normal
function keysOf(status) {
  const count = [...known.incidents.values()].filter((row) => row.statuses.includes(status) && Object.keys(row.key).length).length;
  return count ? `\u25B2 at ${count} ${count === 1 ? "key" : "keys"}` : "";
}

function arrange() {
  const names = inOrder(statuses()).filter((status) => labelOf(status).toLowerCase().includes(sought));
  const worth = new Map(names.map((status) => [status, strangest(status)]));
  const loud = (status) => worth.get(status)[0] === 2 || inIncident(status);
  const by = (a, b) => worth.get(b)[0] - worth.get(a)[0] || worth.get(b)[1] - worth.get(a)[1];
  const alerting = names.filter(loud).sort(by);
  const others = names.filter((status) => !loud(status));
  if (names.length > SMALL) others.sort(by);
  const first = alerting.slice(0, LARGE);
  const rest = [...alerting.slice(LARGE), ...others];
  const shown = all ? rest : rest.slice(0, SMALL);
  draw(large, first);
  draw(small, shown);
  $("alerting").hidden = first.length === 0;
  $("panels").hidden = shown.length === 0;
  $("show-all").hidden = rest.length <= SMALL;
  say($("show-all"), all ? `Show ${SMALL}` : `Show all ${rest.length}`);
  say($("found"), names.length ? "" : sought ? `No status contains "${sought}".` : "No minute has closed yet.");
}

function draw(group, names) {
  for (const status of names) group.set(status, labelOf(status), pointsOf(status), keysOf(status));
  group.keep(names);
}

// One line for the time under the crosshair: what alerts or is strange first, with as many statuses as there is room for
function readout(time) {
  const place = $("readout");
  if (time === null) { place.replaceChildren(`Times are ${zoneName()}. Drag to zoom, Ctrl and wheel too; double-click: now.`); return; }
  const found = inOrder(statuses()).map((status) => {
    const points = pointsOf(status);
    return [status, points[placeOf(points, time)]];
  }).filter(([, point]) => point && point[0] === time);
  found.sort((a, b) => b[1][6] - a[1][6] || Math.abs(b[1][5]) - Math.abs(a[1][5]));
  place.replaceChildren(element("b", "", dateTime(time)), ...found.slice(0, 8).map(([status, point]) => {
    const band = point[2] > 0 ? ` (${short(point[3])} to ${short(point[4])})` : "";
    return element("span", point[6] === 2 ? "loud" : "", nameOf(labelOf(status)), ` ${short(point[1])}${band}`);
  }));
}

function drawControls() {
  for (const control of document.querySelectorAll(".span")) {
    const size = Number(control.dataset.minutes);
    control.setAttribute("aria-pressed", String(range.isLive() && range.liveMinutes() === size));
    control.hidden = size > 1440 && !range.reaches(size > 10080 ? 10080 : 1440);
  }
  const [from, to] = range.current();
  $("now").hidden = range.isLive();
  const step = known.past && known.past.step > known.bucket ? `; each point is the mean of ${known.past.step / 60} min` : "";
  const left = known.past && range.isLive() === false && Date.parse(known.past.begins) / 1e3 > from + known.bucket
    ? `; nothing is known before ${dateTime(Date.parse(known.past.begins) / 1e3)}` : "";
  say($("shown"), `${dateTime(from)} to ${to - from < 86400 ? clock(to) : dateTime(to)}${step}${left}`);
}

export function begin() {
  large = new Charts($("alerting"), 220);
  small = new Charts($("panels"), 120);
  const soon = later(arrange, 0);
  listen((kind) => {
    if (kind === "all" || kind === "points") { arrange(); drawControls(); }
    if (kind === "bucket" || kind === "incident") soon();
    if (kind === "bucket") drawControls();
  });
  range.onRange(drawControls);
  onZone(() => { drawControls(); readout(null); });
  let planned = false;
  onHover((time) => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => { planned = false; readout(time); });
  });
  for (const control of document.querySelectorAll(".span")) {
    control.addEventListener("click", () => range.showLive(Number(control.dataset.minutes)));
  }
  $("now").addEventListener("click", () => range.showLive());
  $("back").addEventListener("click", () => range.pan(-0.5));
  $("forth").addEventListener("click", () => range.pan(0.5));
  $("wider").addEventListener("click", () => range.scale(2, undefined, true));
  $("search").addEventListener("input", () => { sought = $("search").value.trim().toLowerCase(); arrange(); });
  $("show-all").addEventListener("click", () => { all = !all; arrange(); });
  readout(null);
}
