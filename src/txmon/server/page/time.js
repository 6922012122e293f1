// Times as people read them, in the zone of the browser or in UTC. Seconds since 1970 come in.
import { store, stored } from "./dom.js";

const heard = new Set();
let utc = new URLSearchParams(location.search).has("utc") || stored("zone") === "utc";
let formats = {};

function build() {
  const zone = utc ? { timeZone: "UTC" } : {};
  const make = (options) => new Intl.DateTimeFormat("en-GB", { ...zone, ...options });
  formats = {
    clock: make({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    seconds: make({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    date: make({ day: "numeric", month: "short" }),
    weekday: make({ weekday: "short", day: "numeric", month: "short" }),
    day: make({ year: "numeric", month: "2-digit", day: "2-digit" }),
    zone: make({ hour: "2-digit", timeZoneName: "short" }),
  };
}
build();

export const isUtc = () => utc;
export const clock = (seconds) => formats.clock.format(seconds * 1e3);
export const clockSeconds = (seconds) => formats.seconds.format(seconds * 1e3);
export const date = (seconds) => formats.date.format(seconds * 1e3);
export const weekday = (seconds) => formats.weekday.format(seconds * 1e3);
export const dateTime = (seconds) => `${date(seconds)} ${clock(seconds)}`;
export const sameDay = (a, b) => formats.day.format(a * 1e3) === formats.day.format(b * 1e3);
export const seconds = (text) => Date.parse(text) / 1e3;

// "14:05", with the date where it is not the day of `now`
export const moment = (time, now) => (sameDay(time, now) ? clock(time) : dateTime(time));

export function zoneName() {
  const part = formats.zone.formatToParts(Date.now()).find((one) => one.type === "timeZoneName");
  return part ? part.value : "UTC";
}

export function setUtc(wanted) {
  utc = wanted;
  store("zone", utc ? "utc" : "local");
  build();
  for (const act of heard) act();
}

export const onZone = (act) => heard.add(act);

export function span(ms) {
  const size = Math.round(ms / 1e3);
  if (size < 120) return `${size} s`;
  if (size < 7200) return `${Math.floor(size / 60)} min`;
  return size < 172800 ? `${Math.floor(size / 3600)} h` : `${Math.floor(size / 86400)} days`;
}

// A long time in words: 45 min, 6 h 20 min, 3 days 4 h
export function length(size) {
  const minutes = Math.max(1, Math.round(size / 60));
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} days${hours % 24 ? ` ${hours % 24} h` : ""}`;
}
