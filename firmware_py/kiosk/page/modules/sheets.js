// Sheets: a question over the whole glass, with a few large answers. The terminal asks most of them;
// some a person opens from the bar or the dock. None outlives the state that it belongs to.
//
// A sheet begins with the focus on its question, never on an answer: a key that was meant for
// something else chooses nothing.

import { $, button, el, redraw, wayOut } from "./dom.js";
import { breakGlass, colleague, reasons } from "./glass.js";
import { confirmDowntime, countersign, declaring, joining } from "./others.js";
import { drawFound, helpMenu, helpPerson, helpStep } from "./help.js";
import { gate } from "./gate.js";
import { lasting, t } from "./words.js";
import { post } from "./link.js";

let local = null;
let shown = null;
let again = () => {};

/** `drawn` draws the present state once more. */
export function readySheets(drawn) {
  again = drawn;
}

/** Opens a sheet of our own: `{kind}`; null closes it. */
export function open(sheet) {
  local = sheet;
  gate("face", true);
  again();
}

export const close = () => open(null);
export const isOpen = () => local !== null;
export const forget = () => {
  local = null;
};

const title = (words) => el("h1", { id: "sheet-title", tabindex: "-1", text: words });

function choose(state) {
  const answers = state.positions.map((one) => button(one.name, () => post("position", { id: one.id })));
  return [
    title(t("Which role now?")),
    el("div", { class: "answers" }, ...answers),
    wayOut(t("Cancel"), () => post("cancel")),
  ];
}

function roles({ panels: { positions } }) {
  const answers = positions.choices.map((one) => {
    const now = one.id === positions.current;
    const press = () => {
      if (!now) post("change_position", { id: one.id });
      close();
    };
    const words = now ? t("{role} (now)", { role: one.name }) : one.name;
    return button(words, press, { kind: now ? "secondary" : "" });
  });
  return [
    title(t("Change role")),
    el("div", { class: "answers" }, ...answers),
    wayOut(t("Cancel"), close),
  ];
}

const LOCAL = { roles, reasons, help: helpMenu, "confirm downtime": confirmDowntime };

/** What the terminal asks now: how it is drawn, what it is drawn from, and the seconds left. */
function asked({ panels, positions, screen, words, reference }) {
  const { hold, countersign: signing, breakglass: glass, downtime, help, pin } = panels;
  if (positions.length) return [choose, positions];
  if (hold?.asks) return [joining, hold.asks];
  if (signing) return [countersign, { ...signing, left_s: 0 }, signing.left_s];
  if (help?.step === "person") return [helpPerson, "person", null, drawFound];
  if (help) return [helpStep, { ...help, left_s: 0 }, help.left_s];
  if (pin) return [wait, pin.why, null];
  if (glass?.waits_for_colleague) return [colleague, glass.words ?? words, glass.left_s];
  if (downtime?.state === "declaring") return [declaring, [downtime.by, downtime.ends, words, downtime.words, downtime.reference], downtime.left_s];
  if (local) return null;
  if (screen === "offer" && glass?.offered) return [breakGlass, [glass.hold_ms, words, reference]];
  return null;
}

/** Between two entries of a change of PIN: what to do with the card. */
const wait = ({ panels: { pin } }) => [
  title(t(pin.why)),
  wayOut(t("Cancel"), () => post("cancel")),
];

function wanted(state) {
  const theirs = asked(state);
  if (theirs) return theirs;
  return local && [LOCAL[local.kind], [state.panels.positions, state.panels.breakglass?.reasons]];
}

/** The key Escape: as the sheet's own way out, where it has one. */
export function leaveSheet() {
  if (!$("sheet").hidden) $("sheet").querySelector("[data-way-out]")?.click();
}

/** Draws the sheet that is wanted; whether there is one. */
export function drawSheet(state, pad) {
  // What was opened here goes with what it was opened upon.
  if (local?.kind === "reasons" && !state.panels.breakglass?.offered) local = null;
  if (local?.kind === "roles" && !state.panels.positions) local = null;
  const sheet = pad ? null : wanted(state);
  $("sheet").hidden = !sheet;
  const fresh = shown !== (sheet?.[0] ?? null);
  shown = sheet?.[0] ?? null;
  if (fresh) redraw($("sheet"), null, () => []);
  if (!sheet) return false;
  const [draw, from, left, update] = sheet;
  const key = [document.documentElement.lang, from];
  redraw($("sheet"), key, () => draw(state, { close, open }));
  update?.(state);
  const line = $("sheet").querySelector("[data-left]");
  if (line) line.textContent = typeof left === "number" && left > 0 ? t("{time} left", { time: lasting(left) }) : "";
  return true;
}
