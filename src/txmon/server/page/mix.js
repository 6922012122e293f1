// The last hour: a table of the statuses, and what each is of the whole.
import { $, element, nameOf } from "./dom.js";
import { short } from "./charts.js";
import { inOrder, known, labelOf, listen } from "./store.js";

const COLOURS = ["#1f7a3a", "#c0241c", "#7a3fb5", "#9a5b00", "#1f5fbf", "#0b7878", "#a03370", "#6b7280"];
const OTHERS = ["#6b7280", "#4f7cac", "#8a6d3b", "#5b8c5a", "#8c5b7f", "#3f8f8f", "#a0683c", "#6a62b0"];
const FIXED = { approved: 0, failed: 1, reversed: 2, denied: 3, backend_reversed: 4, processing: 5, refunded: 6 };
const ROWS = 12;
const ARROWS = {
  "rising a lot": "\u2191\u2191", "rising": "\u2191", "stable": "\u2192", "falling": "\u2193", "falling a lot": "\u2193\u2193",
};
let all = false;

// Others get colours by their place; neighbours differ
const colour = (status, place) => (status in FIXED ? COLOURS[FIXED[status]] : OTHERS[place % OTHERS.length]);

function drawTable() {
  const { hour, trends } = known;
  const names = inOrder(Object.keys(hour));
  if (names.length > ROWS) names.sort((a, b) => (a === known.total ? -1 : b === known.total ? 1 : hour[b].anomalies - hour[a].anomalies || hour[b].total - hour[a].total));
  const shown = all ? names : names.slice(0, ROWS);
  $("hour").replaceChildren(...shown.map((status) => {
    const name = element("th", "", nameOf(labelOf(status)));
    name.scope = "row";
    const trend = trends[status] ? trends[status].name : "stable";
    return element("tr", "", name, element("td", "", String(hour[status].total)),
      element("td", hour[status].anomalies ? "some" : "", String(hour[status].anomalies)),
      element("td", "", `${ARROWS[trend]} ${trend}`));
  }));
  $("all-rows").hidden = names.length <= ROWS;
  $("all-rows").textContent = all ? `Show ${ROWS}` : `Show all ${names.length}`;
}

function drawMix(id, counts, legend) {
  const shown = inOrder(Object.keys(counts)).filter((status) => counts[status] > 0);
  shown.sort((a, b) => (FIXED[a] ?? 9) - (FIXED[b] ?? 9) || counts[b] - counts[a]);
  const sum = shown.reduce((total, status) => total + counts[status], 0);
  const percent = (status) => `${((100 * counts[status]) / sum).toFixed(1)} %`;
  $(id).replaceChildren(...shown.map((status, i) => {
    const part = element("div");
    part.style.flexGrow = String(counts[status]);
    part.style.background = colour(status, i);
    part.title = `${status} ${percent(status)}`;
    return part;
  }));
  const words = shown.slice(0, 8).map((status) => `${status} ${percent(status)}`).join(", ");
  $(id).setAttribute("aria-label", words || "nothing yet");
  if (!legend) return;
  const rest = shown.slice(10);
  const items = shown.slice(0, 10).map((status, i) => {
    const mark = element("i");
    mark.style.background = colour(status, i);
    return element("li", "", mark, nameOf(status), ` ${percent(status)}`);
  });
  if (rest.length) {
    const sumOfRest = rest.reduce((total, status) => total + counts[status], 0);
    items.push(element("li", "", `${rest.length} more ${((100 * sumOfRest) / sum).toFixed(1)} %`));
  }
  $("legend").replaceChildren(...items);
}

function drawHour() {
  drawTable();
  const counts = {};
  for (const [status, row] of Object.entries(known.hour)) if (status !== known.total) counts[status] = row.total;
  drawMix("mix-hour", counts, true);
}

function drawOpen() {
  const counts = known.open.counts || {};
  drawMix("mix-now", counts, false);
  const sum = Object.values(counts).reduce((total, count) => total + count, 0);
  $("mix-now-count").textContent = known.open.time ? `this minute, ${short(sum)} so far` : "this minute";
}

export function begin() {
  listen((kind) => {
    if (kind === "all" || kind === "bucket") drawHour();
    if (kind === "all" || kind === "minute") drawOpen();
  });
  $("all-rows").addEventListener("click", () => { all = !all; drawTable(); });
}
