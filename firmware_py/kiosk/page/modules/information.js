// The information page: the ward's policy in words, what is recorded here, and the newest checkpoint
// of the evidence log as a QR code, for whoever wants to hold the log to it later.

import { encode } from "uqr";

import { $, button, el, redraw, svgPath } from "./dom.js";
import { gate } from "./gate.js";
import { information } from "./link.js";
import { t } from "./words.js";

// Nobody's questions keep a ward's screen for longer.
const SHOWN_MS = 120_000;
const AGAIN_MS = 5000;

let timer = 0;
let until = 0;
let closed = () => {};

export const isInforming = () => !$("page").hidden;

/** Opens the page; `ended` is called when it goes. */
export function inform(ended) {
  closed = ended;
  until = performance.now() + SHOWN_MS;
  gate("face", true);
  begin();
  setBehind(true);
  refresh();
}

/** What lies beneath is not come to by Tab: nobody would see where the keyboard stands. */
function setBehind(inert) {
  for (const each of document.querySelectorAll(".bar, #banners, main, #letters, #dock")) each.inert = inert;
}

export function endInforming() {
  if ($("page").hidden) return;
  clearTimeout(timer);
  $("page").hidden = true;
  $("page").replaceChildren();
  setBehind(false);
  closed();
}

async function refresh() {
  const told = await information();
  if ($("page").hidden) return;
  if (performance.now() > until) return endInforming();
  if (told) show(told);
  timer = setTimeout(refresh, AGAIN_MS);
  return undefined;
}

function begin() {
  $("page").replaceChildren(
    el(
      "div",
      { class: "page-head" },
      el("h1", { id: "page-title", tabindex: "-1", text: t("About this screen") }),
      button(t("More"), further, { id: "page-more", kind: "secondary", hidden: true }),
      button(t("Close"), endInforming, { id: "page-close" }),
    ),
    el(
      "div",
      { id: "page-body", class: "page-body", tabindex: "0", role: "group", "aria-labelledby": "page-title" },
      ...["facts", "texts", "checkpoint"].map((part) => el("section", { id: `page-${part}`, class: part })),
    ),
  );
  $("page-body").addEventListener("scroll", tellMore, { passive: true });
  $("page").hidden = false;
  $("page-title").focus({ preventScroll: true });
}

const below = ({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight;

/** On a small glass a ward's rules are more than one page: nobody has to find that out. */
function tellMore() {
  const more = below($("page-body")) > 2;
  if (!more && document.activeElement === $("page-more")) $("page-close").focus();
  $("page-more").hidden = !more;
}

function further() {
  const body = $("page-body");
  body.scrollTop += 0.8 * body.clientHeight;
  tellMore();
}

/** Each part anew only where it is another: who reads keeps her place. */
function show(told) {
  const { terminal, ward, support, software, policy, recorded } = told;
  redraw($("page-facts"), [terminal, ward, support, software], () => facts(told));
  redraw($("page-texts"), [policy, recorded], () => texts(told));
  redraw($("page-checkpoint"), told.checkpoint ?? "", () => checkpoint(told.checkpoint));
  tellMore();
}

function row(name, value) {
  if (value === null || value === undefined || value === "") return [];
  return [el("dt", { class: "nhsuk-summary-list__key", text: name }), el("dd", { class: "nhsuk-summary-list__value", text: value })];
}

function facts(told) {
  const rows = [
    row(t("Terminal"), told.terminal),
    row(t("Ward"), told.ward),
    row(t("Support"), told.support),
    row(t("Software"), told.software),
  ];
  return [el("dl", { class: "nhsuk-summary-list" }, ...rows.flat())];
}

/** A number and its unit stay on one line. */
const together = (words) => words.replace(/(\d) (s|min|h)\b/g, "$1\u00a0$2");

function list(words, lines) {
  return el(
    "div",
    {},
    el("h2", { text: words }),
    el("ul", { class: "nhsuk-list nhsuk-list--bullet" }, ...lines.map((line) => el("li", { text: together(t(line)) }))),
  );
}

function texts({ policy = [], recorded = [] }) {
  return [
    policy.length && list(t("The rules of this ward"), policy),
    recorded.length && list(t("What is recorded"), recorded),
  ];
}

function checkpoint(note) {
  if (!note) {
    return [el("h2", { text: t("Checkpoint") }), el("p", { text: t("None is known here yet.") })];
  }
  const size = note.split("\n")[1] ?? "";
  return [
    el("h2", { text: t("Checkpoint of the record") }),
    el("div", { class: "qr" }, code(note)),
    el("p", { text: t("{n} entries. Photograph it: the record must contain it for ever.", { n: size }) }),
  ];
}

/** The note's exact text as one path of dark squares. */
function code(note) {
  const { data, size } = encode(note, { ecc: "M", border: 4 });
  let path = "";
  data.forEach((line, y) => {
    line.forEach((dark, x) => {
      if (dark) path += `M${x} ${y}h1v1h-1z`;
    });
  });
  return svgPath(size, path, t("Checkpoint as a QR code"));
}
