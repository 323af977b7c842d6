// What keeps one person's hands out of another's work.
//
// Every key, touch, pointer, paste and drop passes here first, before any element hears of it.
//   shut   everything is thrown away: a card is looked at, the screen is wiped, nobody answers
//   face   the page's own buttons and pad work; there is no workspace in the page
//   work   somebody's work takes input
// Nothing is queued. Whatever was held down when the gate changed belongs to before: its repeats,
// its release and the click that it would become are thrown away. A scanner writes faster than any
// hand: the rest of a scan that began before the change is thrown away too.

const KEYS = ["keydown", "keypress", "keyup"];
const TEXT = ["beforeinput", "compositionstart", "compositionupdate", "paste", "drop", "dragover"];
const POINTERS = ["pointerdown", "pointermove", "pointerup", "pointercancel"];
const CLICKS = ["click", "dblclick", "auxclick", "contextmenu", "mousedown"];
const TOUCHES = ["touchstart", "touchmove", "touchend", "wheel"];
const FORMS = "#sheet, #page";

/** Hands leave some 30 ms between two keys at their fastest, scanners 15 at most. */
export const SCANNER_MS = 22;
// The longest wristband is read out by then; nobody's own keys wait longer for being quick.
const SCAN_MOST_MS = 300;

let mode = "shut";
let changedMs = 0;
let lastKeyMs = -Infinity;
let scanIsOld = false;
const down = new Set();
const stale = new Set();

/** Opens or shuts the gate. `anew`: another person or another face, even in the same mode. */
export function gate(next, anew = false) {
  if (next === mode && !anew) return;
  mode = next;
  changedMs = performance.now();
  scanIsOld = true;
  for (const each of down) stale.add(each);
  document.activeElement?.blur?.();
}

export const isShut = () => mode === "shut";

function throwAway(event) {
  event.stopImmediatePropagation();
  if (event.cancelable) event.preventDefault();
}

function key(event) {
  const name = `key ${event.code || event.key}`;
  if (event.type === "keyup") {
    down.delete(name);
    if (stale.delete(name) || mode === "shut") throwAway(event);
    return;
  }
  if (event.type === "keydown") {
    if (event.repeat) {
      if (!down.has(name)) stale.add(name); // held since before we could see it
    } else pressed(event, name);
  }
  if (mode === "shut" || stale.has(name)) throwAway(event);
}

function pressed(event, name) {
  const scanned = event.timeStamp - lastKeyMs < SCANNER_MS;
  lastKeyMs = event.timeStamp;
  if (!scanned || event.timeStamp - changedMs > SCAN_MOST_MS) scanIsOld = false;
  down.add(name);
  stale.delete(name); // pressed anew: it was let go where we could not see it
  if (scanned && scanIsOld) stale.add(name);
}

function pointer(event) {
  const name = `pointer ${event.pointerId}`;
  if (event.type === "pointerdown") {
    down.add(name);
    stale.delete(name);
  }
  // A stale pointer stays so after its release: the click comes later, and by the same number.
  if (event.type === "pointerup" || event.type === "pointercancel") down.delete(name);
  if (mode === "shut" || (stale.has(name) && !(event.type === "pointermove" && !event.buttons))) {
    throwAway(event);
  }
}

function click(event) {
  if (mode === "shut" || stale.has(`pointer ${event.pointerId}`)) throwAway(event);
}

function text(event) {
  const written = event.type === "beforeinput" || event.type.startsWith("composition");
  const ours = mode === "face" && written && event.target.closest?.(FORMS);
  if (mode !== "work" && !ours) throwAway(event);
}

function touch(event) {
  if (mode === "shut") throwAway(event);
}

/** Stands at the window, before everything else that listens there. */
export function guard() {
  const first = { capture: true, passive: false };
  for (const [kinds, heard] of [
    [KEYS, key],
    [POINTERS, pointer],
    [CLICKS, click],
    [TEXT, text],
    [TOUCHES, touch],
  ]) {
    for (const kind of kinds) window.addEventListener(kind, heard, first);
  }
  // Let go while another window had the keyboard, and never heard of.
  window.addEventListener("blur", () => down.clear());
}
