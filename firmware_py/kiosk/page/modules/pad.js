// The PIN pad: large keys for gloves, the keyboard and a plain wipeable keypad alike. Digits live
// here until they are sent, and are gone whatever happens then.
//
// One PIN, or several one after the other: a new one is entered twice, and changing one begins with
// the present one. All of them go to the terminal at once, at the end.

import { $, say } from "./dom.js";
import { count, lasting, msg, t } from "./words.js";
import { SCANNER_MS } from "./gate.js";
import { post } from "./link.js";

const MOST = 8;
const LEAST = 6;
const TITLES = {
  old: msg("Enter your present PIN."),
  new: msg("Enter a new PIN of six to eight digits."),
  again: msg("Enter the new PIN once more."),
};

let digits = "";
let lastMs = -Infinity;
/** What is asked now, and what was entered for it so far. */
let asked = null;
let entered = {};

const one = { steps: ["pin"], send: ({ pin }) => post("pin", { pin }) };
const fresh = { steps: ["new", "again"], send: (all) => post("pin", { pin: all.new }) };
const change = { steps: ["old", "new", "again"], send: (all) => post("new_pin", { old: all.old, new: all.new }) };

/** What the pad is for, in a state; null where there is none. */
function wanted({ pin, panels }) {
  const { help, countersign, downtime, pin: changing } = panels;
  if (changing) return ["old", "new"].includes(changing.step) ? { ...change, from: changing, first: changing.step, why: changing.why } : null;
  const field = help?.fields?.find((each) => ["pin", "new-pin"].includes(each.kind));
  if (field) return { ...(field.twice ? fresh : one), from: help, title: help.words };
  if (countersign?.step === "pin") return { ...one, from: countersign, title: countersign.words, why: countersign.title };
  if (downtime?.state === "declaring" && downtime.step === "pin") return { ...one, from: downtime, title: downtime.words };
  return pin && { ...one, from: pin, title: pin.why, why: pin.why_asked };
}

/** Shows the pad for `state`; whether it is shown. Without a state it is put away. */
export function drawPad(state) {
  const now = state && wanted(state);
  $("pad").hidden = !now;
  if (!now) return forget();
  const key = JSON.stringify({ ...now.from, left_s: 0 });
  if (asked?.key !== key) begin(now, key);
  $("pad-title").textContent = t(TITLES[asked.step] && asked.step !== "pin" ? TITLES[asked.step] : now.title);
  if (!asked.own) say($("pad-why"), now.why && t(now.why));
  left(now.from);
  dots();
  return true;
}

function begin(now, key) {
  digits = ""; // whatever the terminal says anew, it says to nobody's digits
  const known = now.first === "new" && asked !== null && entered.old ? { old: entered.old } : {};
  entered = known;
  const step = now.first === "new" && known.old ? "new" : now.steps[0];
  asked = { key, step, steps: now.steps, send: now.send, own: false };
}

function left({ attempts, left_s: seconds }) {
  const tries = typeof attempts === "number" ? count(attempts, msg("{n} try left"), msg("{n} tries left")) : "";
  const time = typeof seconds === "number" && seconds > 0 ? t("{time} left", { time: lasting(seconds) }) : "";
  say($("pad-left"), [tries, time].filter(Boolean).join(" · "));
  $("pad-left").dataset.few = String(attempts <= 1 && typeof attempts === "number");
}

/** Nobody's digits stay behind a pad that is gone. */
export function forget() {
  digits = "";
  asked = null;
  entered = {};
  dots();
  return false;
}

function dots() {
  const said = count(digits.length, msg("{n} digit entered"), msg("{n} digits entered"));
  const words = digits.length ? said : t("No digits entered");
  $("pad-dots").textContent = "●".repeat(digits.length) + "○".repeat(Math.max(0, LEAST - digits.length));
  $("pad-dots").setAttribute("aria-label", words);
  $("pad-status").textContent = $("pad").hidden ? "" : words;
  $("pad-enter").disabled = digits.length < LEAST;
  // What is dead keeps no focus: the next key is for the pad as a whole.
  if (document.activeElement === $("pad-enter") && $("pad-enter").disabled) focusTitle();
}

const focusTitle = () => $("pad-title").focus({ preventScroll: true });

function press(digit) {
  if (digits.length < MOST) digits += digit;
  dots();
}

function rub() {
  digits = digits.slice(0, -1);
  dots();
}

function enter() {
  if (digits.length < LEAST || asked === null) return;
  const now = digits;
  digits = "";
  if (asked.step === "again" && now !== entered.new) {
    explain(t("The two were not the same. Begin with the new PIN again."));
    goTo("new");
  } else {
    entered[asked.step] = now;
    const next = asked.steps[asked.steps.indexOf(asked.step) + 1];
    if (next) goTo(next);
    else finish();
  }
  dots();
}

function goTo(step) {
  asked.step = step;
  $("pad-title").textContent = t(TITLES[step]);
  focusTitle();
}

function finish() {
  const all = entered;
  // The present PIN alone is kept, for a new one that the terminal finds too easy.
  entered = all.old ? { old: all.old } : {};
  asked.send(all);
}

function explain(words) {
  asked.own = true;
  say($("pad-why"), words);
}

function cancel() {
  forget();
  post("cancel");
}

/** The digit of a key: of a keypad also where nobody switched its numbers on. */
const digitOf = (event) => (/^[0-9]$/.test(event.key) ? event.key : /^Numpad([0-9])$/.exec(event.code)?.[1]);

/** A key while the pad is shown; whether it was the pad's. */
export function padKey(event) {
  if ($("pad").hidden || event.ctrlKey || event.altKey || event.metaKey) return false;
  const quick = event.timeStamp - lastMs < SCANNER_MS;
  lastMs = event.timeStamp;
  const onButton = document.activeElement?.tagName === "BUTTON";
  const digit = digitOf(event);
  if (digit) quick ? scanned() : press(digit);
  else if (event.key === "Backspace" || event.key === "Delete") rub();
  else if (event.key === "Escape") cancel();
  else if (event.key === "Enter" && (quick || !onButton)) quick ? scanned() : enter();
  else return false;
  event.preventDefault();
  return true;
}

/** A wristband that is read while the pad waits must cost nobody a try. */
function scanned() {
  digits = "";
  dots();
  if (asked) explain(t("That came from a scanner. Enter your PIN by hand."));
}

export function readyPad() {
  for (const key of document.querySelectorAll("[data-digit]")) {
    key.addEventListener("click", () => press(key.dataset.digit));
  }
  $("pad-back").addEventListener("click", rub);
  $("pad-cancel").addEventListener("click", cancel);
  $("pad").addEventListener("submit", (event) => {
    event.preventDefault();
    enter();
  });
}
