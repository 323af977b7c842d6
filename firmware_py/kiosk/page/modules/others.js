// Sheets of more than one person: a screen held open, a countersign, a declared downtime.

import { button, el, wayOut } from "./dom.js";
import { post } from "./link.js";
import { t } from "./words.js";

const title = (words) => el("h1", { id: "sheet-title", tabindex: "-1", text: words });
const cancel = (press) => wayOut(t("Cancel"), press);
const more = (words) => el("p", { class: "more", text: words });
const left = () => el("p", { class: "more", "data-left": true });

export function joining({ panels: { hold } }) {
  const { initials, role } = hold.asks;
  return [
    title(t("This screen is held open")),
    el("p", { class: "words", text: [initials, role].filter(Boolean).join(" · ") }),
    el(
      "div",
      { class: "answers" },
      hold.asks.may_join !== false && button(t("Join"), () => post("join")),
      button(t("Take over"), () => post("takeover"), { kind: "secondary" }),
    ),
    more(t("Who joins works in the same session: what is done is logged as shared, author uncertain.")),
    cancel(() => post("cancel")),
  ];
}

/** The text as the application asked for it, and what is waited for. */
export function countersign({ panels: { countersign: asked } }) {
  const waits = ["card", "pin", "refused"].includes(asked.step);
  return [
    title(asked.title || t("A second person signs")),
    el("blockquote", { class: "signed-text", text: asked.text, tabindex: "0" }),
    el("p", { class: "words", text: [asked.words && t(asked.words), asked.by].filter(Boolean).join(" · ") }),
    asked.reference && el("p", { class: "reference", text: t("Reference {reference}", { reference: asked.reference }) }),
    left(),
    waits && cancel(() => post("cancel")),
  ];
}

const bothSign = () =>
  t("Two people of named roles sign it, each with card and PIN. The widest rights are off while it lasts.");

export function declaring({ panels: { downtime }, words }) {
  const by = downtime.by ?? [];
  return [
    title(t(downtime.words ?? words)),
    by.length > 0 && el("p", { class: "words", text: t("Signed by {people}", { people: by.join(", ") }) }),
    downtime.reference && el("p", { class: "reference", text: t("Reference {reference}", { reference: downtime.reference }) }),
    downtime.text && el("p", { class: "more", text: downtime.text }),
    more(downtime.ends ? t("One person of a named role signs it, with card and PIN.") : bothSign()),
    left(),
    cancel(() => post("cancel")),
  ];
}

export function confirmDowntime(_state, { close }) {
  const press = () => {
    post("downtime");
    close();
  };
  return [
    title(t("Declare downtime for this ward?")),
    more(bothSign()),
    el("div", { class: "answers" }, button(t("Declare downtime"), press, { kind: "warning" })),
    cancel(close),
  ];
}
