// Keys by status: which merchants are how far from normal. The worst are shown; the search finds all others.
import { $, ask, element, later, link, nameOf, say } from "./dom.js";
import { keyPath, keyText } from "./incidents.js";
import { inOrder, known, labelOf, listen } from "./store.js";

const STATUSES = 8; // columns; those that stand out most
let asked = 0;

// -3 (far below) to 3 (far above) normal
function level(cell) {
  const size = Math.abs(cell.score);
  const strength = size >= 8 ? 3 : size >= 5 ? 2 : size >= 3 ? 1 : 0;
  return cell.score < 0 ? -strength : strength;
}

function columnsOf(rows) {
  const worst = new Map();
  for (const row of rows) {
    for (const [status, cell] of Object.entries(row.statuses)) {
      if (status !== known.total) worst.set(status, Math.max(worst.get(status) || 0, Math.abs(cell.score)));
    }
  }
  const names = [...worst.keys()].sort((a, b) => worst.get(b) - worst.get(a)).slice(0, STATUSES);
  return [known.total, ...inOrder(names)];
}

function cellOf(cell) {
  if (!cell) return element("td", "none", "–");
  const excess = cell.count - cell.expected;
  const made = element("td", "", String(cell.count));
  made.dataset.level = String(level(cell));
  if (cell.mark === 2) made.classList.add("alerting");
  made.title = `${cell.count} seen, ${cell.expected.toFixed(1)} expected, ${cell.score > 0 ? "+" : ""}${cell.score.toFixed(1)} sigma at most`;
  const beyond = element("span", "unseen", `, ${excess >= 0 ? "+" : ""}${excess.toFixed(0)}${cell.mark === 2 ? ", alert" : ""}`);
  made.append(beyond);
  return made;
}

function draw(found) {
  const statuses = columnsOf(found.keys);
  const head = (text) => {
    const made = element("th", "", text === "Key" || text === "Excess" ? text : nameOf(labelOf(text)));
    made.scope = "col";
    return made;
  };
  $("heat-head").replaceChildren(head("Key"), head("Excess"), ...statuses.map(head));
  $("heat-body").replaceChildren(...found.keys.map((row) => {
    const name = element("th", "", link(keyPath(row.key), nameOf(keyText(row.key))));
    name.scope = "row";
    const excess = element("td", row.mark === 2 ? "some" : "", `${row.excess > 0 ? "+" : ""}${Math.round(row.excess)}`);
    return element("tr", "", name, excess, ...statuses.map((status) => cellOf(row.statuses[status])));
  }));
  const shown = found.keys.length;
  say($("heat-note"), shown ? `${shown} of ${found.count} keys, the furthest from normal first; counts of the last ${found.minutes} min.`
    + (found.left_out ? " Some keys are not shown: 5000 series are kept." : "") : "No key contains that.");
}

async function fetchRows() {
  const mine = ++asked;
  const find = $("key-search").value.trim();
  const path = `v1/keys?minutes=${$("heat-minutes").value}&limit=${$("heat-limit").value}`;
  try {
    const found = await ask(`${path}${find ? `&find=${encodeURIComponent(find)}` : ""}`);
    if (mine === asked) draw(found);
  } catch { /* the state in the header says so */ }
}

export function begin() {
  const soon = later(fetchRows, 200);
  listen((kind) => {
    if (kind !== "all" && kind !== "bucket") return;
    if (!known.keys && kind === "bucket") return;
    $("heat").hidden = !known.keys;
    if (known.keys) soon();
  });
  for (const name of ["key-search", "heat-minutes", "heat-limit"]) $(name).addEventListener("input", soon);
}
