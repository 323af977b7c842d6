// The workspace of this page: some notes a session, kept by the terminal under the session's ticket.
//
// The field is made anew for each ticket and thrown away when covered: neither its undo history nor
// a late key of its owner can meet the next person. What is copied stays in it, too: the machine's
// clipboard would carry it across.

import { $, el } from "./dom.js";
import { t } from "./words.js";
import { post } from "./link.js";

const BYTES_MOST = 4096; // the terminal keeps no more

let ticket = null;
let field = null;
let kept = "";
let copied = "";
let sending = false;

/** Shows the work of `screen` ({ticket, text}); null takes it away at once. */
export function notes(screen) {
  if ((screen?.ticket ?? null) === ticket) return;
  ticket = screen?.ticket ?? null;
  copied = "";
  field = null;
  $("work-place").replaceChildren();
  if (ticket !== null) begin(screen.text || "");
}

/** Where hands that begin to type are at once at home. */
export function home() {
  field?.focus({ preventScroll: true });
}

function begin(text) {
  field = el("textarea", {
    id: "notes",
    class: "notes",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-labelledby": "work-title",
  });
  field.value = kept = text;
  field.addEventListener("input", changed);
  field.addEventListener("copy", (event) => take(event, false));
  field.addEventListener("cut", (event) => take(event, true));
  field.addEventListener("paste", put);
  field.addEventListener("dragstart", (event) => event.preventDefault());
  field.addEventListener("drop", (event) => event.preventDefault());
  // The middle button pastes what anybody selected last.
  field.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault());
  $("work-place").replaceChildren(field);
}

function changed() {
  if (new TextEncoder().encode(field.value).length > BYTES_MOST) {
    field.value = kept;
    $("announce").textContent = t("There is no room for more.");
  }
  kept = field.value;
  send();
}

/** One message at a time, so that none overtakes another; the newest text goes next. */
async function send() {
  if (sending) return;
  sending = true;
  for (let sent = null; ticket !== null && sent !== `${ticket} ${kept}`; ) {
    sent = `${ticket} ${kept}`;
    await post("typed", { ticket, text: kept });
  }
  sending = false;
}

function take(event, away) {
  event.preventDefault();
  const [from, to] = [field.selectionStart, field.selectionEnd];
  copied = field.value.slice(from, to);
  if (away) replace(from, to, "");
}

function put(event) {
  event.preventDefault();
  replace(field.selectionStart, field.selectionEnd, copied);
}

function replace(from, to, text) {
  field.setRangeText(text, from, to, "end");
  changed();
}
