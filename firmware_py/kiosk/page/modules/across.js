// The new name across the screen at every switch. It is drawn over the work and takes nothing from
// it: the first key or touch goes through to the newcomer, and the name goes.

import { $ } from "./dom.js";
import { nameOf } from "./bar.js";
import { named } from "./words.js";

const SHOWN_MS = 1600;

let timer = 0;
let shown = "";

/** Shows who has come. `switched`: the screen was covered until now. */
export function across(state, switched) {
  const who = state.name && !state.covered ? `${state.name}\n${state.role}` : "";
  if (!who) return hide();
  const asked = ["pad", "sheet"].includes(document.body.dataset.layout);
  if (state.screen !== "open" || asked) return begun();
  if (!switched && who === shown) return undefined;
  shown = who;
  clearTimeout(timer);
  $("across-name").textContent = nameOf(state);
  $("across-role").textContent = named(state.role || "");
  $("across").hidden = false;
  timer = setTimeout(fade, SHOWN_MS);
  return undefined;
}

function fade() {
  $("across").hidden = true;
  $("across-name").textContent = $("across-role").textContent = "";
}

/** At once: whoever it named is no longer here, or has begun to work. */
export function hide() {
  clearTimeout(timer);
  fade();
  shown = "";
}

/** Her first input ends the greeting, not who it was for. */
export function begun() {
  clearTimeout(timer);
  fade();
}
