// Dark or light, as the system has it or as somebody chose.
import { $, store, stored } from "./dom.js";
import { rebuildAll } from "./charts.js";

const system = matchMedia("(prefers-color-scheme: dark)");

function show(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", String(dark));
  rebuildAll();
}

export function begin() {
  const chosen = stored("theme");
  system.addEventListener("change", () => { if (!stored("theme")) show(system.matches); });
  $("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    store("theme", dark ? "dark" : "light");
    show(dark);
  });
  show(chosen ? chosen === "dark" : system.matches);
}
