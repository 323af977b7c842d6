// "Clean screen": touch and keys are dead for half a minute, and say so. A card ends it.

import { $ } from "./dom.js";
import { gate } from "./gate.js";

const CLEAN_S = 30;

let timer = 0;
let left = 0;
let over = () => {};

export const isCleaning = () => timer !== 0;

/** Begins; `ended` is called when touch is to work again. */
export function clean(ended) {
  if (timer) return;
  over = ended;
  left = CLEAN_S;
  $("clean").hidden = false;
  gate("shut");
  tell();
  timer = setInterval(() => {
    left -= 1;
    tell();
    if (left <= 0) endCleaning();
  }, 1000);
}

export function endCleaning() {
  if (!timer) return;
  clearInterval(timer);
  timer = 0;
  $("clean").hidden = true;
  over();
}

function tell() {
  $("clean-left").textContent = String(left);
}
