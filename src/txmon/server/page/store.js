// What the page knows: asked for once, then kept up by the feed. Views listen to what changes.
import * as feed from "./feed.js";
import { ask, later } from "./dom.js";
import * as range from "./range.js";
import { seconds } from "./time.js";

const FIRST = ["*", "failed", "reversed", "denied", "approved"];
const DAY = 86400;
const listeners = new Set();

export const known = {
  bucket: 60,
  total: "*",
  series: {}, // [time, count, expected, low, high, score, mark] by status, of the last day
  past: null, // the answer about a range before that
  hour: {},
  trends: {},
  incidents: new Map(), // that are open, by id
  last: null, // start of the newest closed bucket, s
  ahead: 0, // the server's clock less this one, ms
  connected: "connecting",
  trouble: "",
  open: {},
  keys: 0,
  silences: [],
  session: false,
};

// The server's time, s
export const now = () => (Date.now() + known.ahead) / 1e3;

// act(kind, what): kinds are all, bucket, alert, incident, silences, minute, trouble, state, points, login
export const listen = (act) => listeners.add(act);
function tell(kind, what) { for (const act of listeners) act(kind, what); }

export const labelOf = (status) => (status === known.total ? "all transactions" : status);

export function inOrder(statuses) {
  const place = (status) => (FIRST.includes(status) ? FIRST.indexOf(status) : FIRST.length);
  return [...statuses].sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
}

// The worst first: by severity, then by how many transactions it is about
const GRAVITY = { critical: 2, warning: 1, info: 0 };
export const worstFirst = (rows) => [...rows].sort((a, b) =>
  GRAVITY[b.severity] - GRAVITY[a.severity] || Math.abs(b.excess) - Math.abs(a.excess) || (a.id < b.id ? -1 : 1));

// Points of the range that is shown
export function pointsOf(status) {
  const series = known.past ? known.past.series : known.series;
  return series[status] || [];
}

export function statuses() {
  return known.past ? Object.keys({ ...known.series, ...known.past.series }) : Object.keys(known.series);
}

function addPoints(series) {
  const most = Math.floor(DAY / known.bucket);
  for (const status of Object.keys(series)) {
    const point = series[status];
    const points = known.series[status] || (known.series[status] = []);
    let i = points.length;
    while (i > 0 && points[i - 1][0] > point[0]) i--;
    if (i > 0 && points[i - 1][0] === point[0]) points[i - 1] = point; // a correction
    else points.splice(i, 0, point);
    if (points.length > most) points.splice(0, points.length - most);
    known.last = Math.max(known.last || 0, point[0]);
  }
  range.setLast(known.last + known.bucket);
}

function takeIncident(row) {
  if (row.state === "resolved") known.incidents.delete(row.id);
  else known.incidents.set(row.id, row);
  tell("incident", row);
}

const handlers = {
  bucket(row) {
    if (Object.keys(row.trends).length) ({ trends: known.trends, hour: known.hour } = row);
    addPoints(row.series);
    if (known.past && range.isLive() && known.last - seconds(known.past.to) >= known.past.step) fetchPast();
    tell("bucket", row);
  },
  verdict: (row) => tell("alert", row),
  incident: takeIncident,
  silences(row) { known.silences = row.silences; tell("silences"); },
  minute(row) { known.open = row; tell("minute"); }, // not `open`: that is EventSource's own
  trend: (row) => tell("alert", { time: row.time, recommendation: "trend", text: row.text }),
  trouble(row) { known.trouble = row.trouble; tell("trouble"); },
  reset: () => begin(),
  state(text) { known.connected = text; tell("state"); },
  lost(wait) { handlers.state(`reconnecting in ${wait} s`); setTimeout(begin, wait * 1e3); },
  logout() { stop(); tell("login"); },
};

let asking = false;
let retry = 0;
export async function begin() {
  if (asking) return;
  asking = true;
  try {
    show(await ask("v1/overview"));
  } catch (wrong) {
    if (wrong.status === 401) { stop(); tell("login"); return; }
    retry = Math.min(30, retry * 2 + 1);
    handlers.state(`reconnecting in ${retry} s`);
    setTimeout(begin, retry * 1e3);
  } finally {
    asking = false;
  }
}

function show(found) {
  retry = 0;
  for (const name of ["bucket", "total", "series", "hour", "trends", "trouble", "open", "keys", "session", "silences"]) {
    known[name] = found[name];
  }
  known.ahead = seconds(found.now) * 1e3 - Date.now();
  known.last = found.last ? seconds(found.last) : null;
  known.incidents = new Map(found.incidents.map((row) => [row.id, row]));
  range.setLast(known.last === null ? null : known.last + known.bucket);
  range.setOldest(found.oldest ? seconds(found.oldest) : null);
  feed.begin(found.position, handlers);
  tell("all");
  lookBack();
}

export function stop() {
  feed.end();
}

// A range that is not in the last day is asked for
let wanted = 0;
async function fetchPast() {
  const mine = ++wanted;
  const [from, to] = range.current();
  const since = Math.max(0, Math.floor(from) - known.bucket);
  try {
    const found = await ask(`v1/history?from=${since}&to=${Math.ceil(to)}`);
    if (mine === wanted) { known.past = found; tell("points"); }
  } catch (wrong) {
    if (wrong.status === 401) { stop(); tell("login"); }
  }
}

function lookBack() {
  const first = Math.min(...Object.values(known.series).map((points) => (points.length ? points[0][0] : Infinity)));
  if (range.current()[0] < first - known.bucket && first !== Infinity) { soon(); return; }
  wanted++;
  if (known.past) { known.past = null; tell("points"); }
}
const soon = later(fetchPast, 120);
range.onRange(lookBack); // before the views: they draw what there is

// A timer, since a server that is frozen sends no error
setInterval(() => {
  tell("tick");
  if (feed.dead() && !asking) { stop(); begin(); }
}, 1000);
// a session goes on while it is used: a wall screen stays logged in
setInterval(() => { if (known.session) begin(); }, 6 * 3600e3);
