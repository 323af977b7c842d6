// Draws what the terminal says and nothing else. No name outlives the state that carried it.

import { $, el, redraw, say } from "./dom.js";
import { begun, across, hide } from "./across.js";
import { drawBanners } from "./frames.js";
import { drawBar, faceOf } from "./bar.js";
import { drawDock } from "./dock.js";
import { drawEnrolling } from "./enrolling.js";
import { drawPad, forget as forgetDigits, padKey, readyPad } from "./pad.js";
import { drawSheet, forget as forgetSheet, isOpen, leaveSheet, open, readySheets } from "./sheets.js";
import { clean, endCleaning, isCleaning } from "./clean.js";
import { drawLetters, hideLetters, readyLetters } from "./letters.js";
import { endInforming, inform, isInforming } from "./information.js";
import { follow, post } from "./link.js";
import { forgetOpener, leave, settle } from "./focus.js";
import { gate, guard, isShut } from "./gate.js";
import { heard } from "./sound.js";
import { notes } from "./notes.js";
import { lasting, learn, named, speak, t } from "./words.js";

const ACTIVITY_MS = 1000;
const AWAKE = ["open", "dimmed", "warning", "refused", "notice"];
const SHUT = ["starting", "checking"];
const LANGUAGE_KEY = "language";

let now = null;
let lastActivity = 0;
/** Of the screen itself; somebody who is signed on may have her own. */
let screenLanguage = "en";

function cover() {
  now = null;
  delete document.body.dataset.connected;
  gate("shut");
  notes(null);
  forgetDigits();
  forgetSheet();
  hide();
  endInforming();
  for (const id of ["bar-name", "bar-role", "words", "more", "reference", "announce"]) $(id).textContent = "";
  for (const id of ["sheet", "parked-lines", "banners"]) redraw($(id), null, () => []);
  drawLetters();
  document.body.dataset.frame = "";
  document.title = t("Ward terminal");
}

/** Which person or face the glass is for: whatever is held down when it changes belongs to before. */
const faceKey = (state) =>
  state && (state.covered ? `face ${state.screen}` : `work ${state.panels.screen?.ticket ?? state.name}`);

function gateFor(state, switched) {
  if (SHUT.includes(state.screen)) return gate("shut");
  if (state.covered || isOpen() || isInforming()) return gate("face", switched);
  return gate("work", switched);
}

function draw(state) {
  const before = now;
  const switched = faceKey(before) !== faceKey(state);
  const uncovered = !state.covered && (before === null || before.covered);
  now = state;
  speak(state.panels.language?.code ?? screenLanguage);
  if (switched) {
    forgetSheet();
    forgetOpener();
    endInforming();
    endCleaning();
  }
  if (!isCleaning()) gateFor(state, switched);
  const { body } = document;
  body.dataset.connected = "yes";
  body.dataset.screen = state.screen;
  body.dataset.covered = String(state.covered);
  body.dataset.night = String(Boolean(state.night) || matchMedia("(prefers-color-scheme: dark)").matches);
  drawBar(state);
  drawBanners(state);
  drawMain(state);
  drawParked(state);
  drawEnrolling(state);
  drawLetters();
  drawDock(state, acts);
  across(state, uncovered);
  if (switched) arrived(state, before);
  if (!isCleaning()) settle();
}

function drawMain(state) {
  // No pad while its keys are dead: a digit that is pressed then would be missing.
  const pad = drawPad(isOpen() || SHUT.includes(state.screen) ? null : state);
  const sheet = drawSheet(state, pad);
  notes(state.covered ? null : state.panels.screen);
  const work = !state.covered && !sheet && !pad;
  const hasWork = work && Boolean(state.panels.screen);
  $("work").hidden = !hasWork;
  document.body.dataset.layout = sheet ? "sheet" : pad ? "pad" : hasWork ? "work" : "face";
  // Over somebody's work the ordinary needs no sentence of its own.
  $("face").hidden = sheet || pad || (hasWork && state.screen === "open");
  $("shape").firstElementChild.setAttribute("href", `#shape-${faceOf(state)[1]}`);
  say($("words"), t(state.words));
  say($("reference"), state.reference && t("Reference {reference}", { reference: state.reference }));
  say($("more"), more(state));
}

/** The second line of a face: what else helps whoever stands here. */
function more({ screen, reference }) {
  if (reference) return t("Tell the helpdesk this reference.");
  return screen === "waiting" ? t("It goes on by itself as soon as it can.") : "";
}

function drawParked(state) {
  const shown = state.parked.length > 0 && ["face", "work"].includes(document.body.dataset.layout);
  $("parked").hidden = !shown;
  redraw($("parked-lines"), [state.parked, document.documentElement.lang], () =>
    state.parked.map((one) =>
      el(
        "li",
        {},
        el("b", { class: "initials", text: one.initials }),
        el("span", { text: named(one.role) }),
        el("span", { class: "kept", text: t("kept {time}", { time: lasting(one.until_s) }) }),
      ),
    ),
  );
}

/** Voice and sound of a new face. */
function arrived(state, before) {
  const named = state.name && !state.covered;
  const said = named ? `${state.name}, ${state.role}. ${t(state.words)}` : t(state.words);
  $("announce").textContent = [said, state.reference && t("Reference {reference}", { reference: state.reference })]
    .filter(Boolean)
    .join(". ");
  if (before !== null && named && before.covered) heard(1, state.sound, state.night);
  if (state.screen === "refused") heard(2, state.sound, state.night);
}

function restore() {
  if (now === null) return;
  gateFor(now, true);
  draw({ ...now });
}

/** From a button of the bar or the dock; the focus comes back to it (`focus.js`). */
const from = (begin) => (given) => {
  leave();
  begin(given);
};

const acts = {
  clean: from(() => clean(restore)),
  information: from(() => inform(restore)),
  open: from(open),
  speak: (code) => {
    if (now && !now.covered && now.name) {
      post("language", { code }); // hers; the terminal says it back
      return;
    }
    screenLanguage = code;
    try {
      localStorage.setItem(LANGUAGE_KEY, code);
    } catch {
      // a browser that keeps nothing asks again after its next start
    }
    speak(code);
    if (now) draw({ ...now });
  },
};

function activity(event) {
  if (now === null || now.covered || isShut() || !AWAKE.includes(now.screen)) return;
  if (event.type !== "pointermove") begun();
  const at = performance.now();
  if (now.screen === "open" && at - lastActivity < ACTIVITY_MS) return;
  lastActivity = at;
  post("activity");
}

function keys(event) {
  hideLetters(); // whoever has keys needs none on the glass
  if (padKey(event)) return;
  if (event.key === "Escape") escape();
  activity(event);
}

function escape() {
  if (isInforming()) endInforming();
  else leaveSheet();
}

function ready() {
  guard();
  readyPad();
  readyLetters();
  readySheets(() => {
    if (now && !isOpen() && !isCleaning()) gateFor(now, true);
    if (now) draw({ ...now });
  });
  $("lock").addEventListener("click", () => post("lock"));
  $("role-change").addEventListener("click", () => acts.open({ kind: "roles" }));
  document.addEventListener("keydown", keys);
  for (const kind of ["pointerdown", "pointermove", "wheel"]) {
    document.addEventListener(kind, activity, { passive: true });
  }
  cover();
  learn().then(() => {
    try {
      screenLanguage = localStorage.getItem(LANGUAGE_KEY) ?? "en";
    } catch {
      // as above
    }
    speak(screenLanguage);
    if (now) draw({ ...now });
  });
  follow(draw, cover);
}

ready();
