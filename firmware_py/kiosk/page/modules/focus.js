// Where the keyboard stands after each step: on the question, at the pad, in the work. Where something
// was opened and closed again upon a resting screen, at the button that opened it.
//
// What has the focus and can be seen keeps it. At rest nothing has it: the next step is a card.

import { $ } from "./dom.js";
import { home } from "./notes.js";
import { isInforming } from "./information.js";

const QUESTIONS = { sheet: "sheet-title", pad: "pad-title" };

let opener = "";

/** Something is about to be opened by the button that has the focus. */
export function leave() {
  opener = document.activeElement?.id ?? "";
}

/** Another face: there is no way back to what was opened from. */
export function forgetOpener() {
  opener = "";
}

function isHeld() {
  const at = document.activeElement;
  return at && at !== document.body && !at.matches(":disabled") && at.checkVisibility();
}

const focus = (id) => $(id)?.focus({ preventScroll: true });

/** Puts the focus where it belongs, unless something has it. */
export function settle() {
  const { layout } = document.body.dataset;
  if (isHeld()) return;
  if (isInforming()) focus("page-title");
  else if (QUESTIONS[layout]) focus(QUESTIONS[layout]);
  else if (layout === "work") home();
  else focus(opener);
}
