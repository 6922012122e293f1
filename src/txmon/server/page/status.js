// Whether what is shown is of now, and the one sentence that says how things stand.
import * as feed from "./feed.js";
import { $, isolated, link, say } from "./dom.js";
import { driversText, keyText, moneyText, seenText } from "./incidents.js";
import { known, listen, now, worstFirst } from "./store.js";
import { clock, clockSeconds, moment, onZone, seconds, span, zoneName } from "./time.js";

// Green means: connected, heard within seconds, and the newest bucket is of now. Amber after two buckets without data,
// red when the connection is gone.
function fresh() {
  const quiet = feed.dead();
  const size = known.bucket * 1e3;
  const end = known.last === null ? null : (known.last + known.bucket) * 1e3;
  const age = end === null ? 0 : Math.max(0, Date.now() + known.ahead - end);
  const old = age > Math.max(120e3, 2 * size);
  say($("state"), quiet ? `no answer for ${span(feed.silent())}` : known.connected);
  $("state").dataset.live = known.connected === "live" && !quiet ? (old ? "stale" : "yes") : "no";
  const shown = known.bucket < 60 ? clockSeconds : clock;
  const when = end === null ? "" : age > 86400e3 ? moment(known.last, now()) : shown(known.last);
  say($("fresh"), end === null ? "" : `last data ${when} ${zoneName()}${old ? `, ${span(age)} ago` : ""}`);
  $("fresh").className = old ? "old" : "";
  document.body.dataset.stale = String(old || $("state").dataset.live === "no");
}

function headline() {
  const place = $("headline");
  const rows = worstFirst(known.incidents.values());
  const worst = rows[0];
  const dark = document.body.dataset.stale === "true";
  const kind = worst ? worst.severity : known.last === null || dark ? "unknown" : "normal";
  const texts = [];
  if (worst) {
    const where = keyText(worst.key);
    const what = [seenText(worst), ...driversText(worst), ...moneyText(worst)].join("; ");
    texts.push(`${isolated(worst.label, worst.statuses)}${where ? ` at ${where}` : ""} since ${moment(seconds(worst.start), now())}: ${what}`);
    if (rows.length > 1) texts.push(` ${rows.length - 1} more open.`);
  } else if (known.last === null) {
    texts.push("No minute has closed yet.");
  } else if (dark) {
    texts.push(`Nothing is open, as of ${clock(known.last)}. What came after that is not known here.`);
  } else {
    const points = known.series[known.total] || [];
    const point = points[points.length - 1];
    const count = Object.keys(known.series).filter((status) => status !== known.total).length;
    const seen = point ? `${point[1]} transactions in the last minute${point[2] > 0 ? `, ${point[2].toFixed(0)} expected` : ""}` : "";
    texts.push(`All normal. ${seen}${seen ? "; " : ""}${count} ${count === 1 ? "status" : "statuses"} watched.`);
  }
  const marks = { critical: "\u25B2 Critical:", warning: "\u25B2 Warning:", info: "\u25CF Info:", normal: "\u2713", unknown: "?" };
  place.dataset.kind = kind;
  const whole = `${marks[kind]} ${texts.join("")}`;
  if (place.dataset.text === whole) return; // it would be said again
  place.dataset.text = whole;
  const more = worst ? [link(`incidents/${encodeURIComponent(worst.id)}`, "Open")] : [];
  place.querySelector("p").replaceChildren(`${marks[kind]} `, ...texts, " ", ...more);
}

export function begin() {
  listen((kind) => {
    if (kind === "tick" || kind === "state" || kind === "all" || kind === "bucket") fresh();
    if (kind === "tick" || kind === "all" || kind === "bucket" || kind === "incident" || kind === "state") headline();
    if (kind === "trouble" || kind === "all") {
      $("trouble").hidden = !known.trouble;
      say($("trouble"), known.trouble);
    }
  });
  onZone(() => { fresh(); headline(); });
}
