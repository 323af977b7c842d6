// The information page: the ward's policy in words, what is recorded here, and the newest checkpoint
// of the evidence log as a QR code, for whoever wants to hold the log to it later.

import { encode } from "uqr";

import { $, button, el, svgPath } from "./dom.js";
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
  $("page").hidden = false;
  gate("face", true);
  show(null);
  refresh();
}

export function endInforming() {
  if ($("page").hidden) return;
  clearTimeout(timer);
  $("page").hidden = true;
  $("page").replaceChildren();
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

function show(told) {
  const first = !$("page-title");
  const parts = told ? [facts(told), texts(told), checkpoint(told.checkpoint)] : [];
  $("page").replaceChildren(
    el(
      "div",
      { class: "page-head" },
      el("h1", { id: "page-title", tabindex: "-1", text: t("About this screen") }),
      button(t("Close"), endInforming, { id: "page-close" }),
    ),
    el("div", { class: "page-body", tabindex: "0", role: "group", "aria-labelledby": "page-title" }, ...parts.filter(Boolean)),
  );
  if (first) $("page-title").focus({ preventScroll: true });
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
  return el("section", { class: "facts" }, el("dl", { class: "nhsuk-summary-list" }, ...rows.flat()));
}

function list(words, lines) {
  return el(
    "section",
    {},
    el("h2", { text: words }),
    el("ul", { class: "nhsuk-list nhsuk-list--bullet" }, ...lines.map((line) => el("li", { text: t(line) }))),
  );
}

function texts({ policy = [], recorded = [] }) {
  return el(
    "div",
    { class: "texts" },
    policy.length && list(t("The rules of this ward"), policy),
    recorded.length && list(t("What is recorded"), recorded),
  );
}

function checkpoint(note) {
  if (!note) {
    return el("section", { class: "checkpoint" }, el("h2", { text: t("Checkpoint") }), el("p", { text: t("None is known here yet.") }));
  }
  const size = note.split("\n")[1] ?? "";
  return el(
    "section",
    { class: "checkpoint" },
    el("h2", { text: t("Checkpoint of the record") }),
    el("div", { class: "qr" }, code(note)),
    el("p", { text: t("{n} entries. Photograph it: the record must contain it for ever.", { n: size }) }),
  );
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
