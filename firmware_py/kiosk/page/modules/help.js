// "Help with a card": a blocked PIN, a temporary card, another PIN. The terminal leads, step by step
// (its panel `help`); each step is a sentence, and perhaps something to enter.

import { $, button, el, wayOut } from "./dom.js";
import { t } from "./words.js";
import { post } from "./link.js";

const HOURS = [2, 4, 12];

const title = (words) => el("h1", { id: "sheet-title", tabindex: "-1", text: words });
const quit = () => wayOut(t("Cancel"), () => post("cancel"));

/** What there is to be helped with; opened from the dock. */
export function helpMenu(state, { close }) {
  const begin = (command, body) => () => {
    post(command, body);
    close();
  };
  return [
    title(t("Help with a card")),
    el(
      "div",
      { class: "answers" },
      button(t("My PIN is blocked or forgotten"), begin("newpin")),
      button(t("A temporary card"), begin("find_person", { text: "" })),
      !state.covered && state.name && button(t("Change my PIN"), begin("pin_change")),
    ),
    wayOut(t("Cancel"), close),
  ];
}

const who = (whom) => whom && [whom.initials, whom.id].filter(Boolean).join(" · ");

/** A step that needs no more than a card. */
export function helpStep({ panels: { help }, reference }) {
  const offered = help.step === "offered";
  return [
    title(t(help.words)),
    reference && el("p", { class: "reference", text: t("Reference {reference}", { reference }) }),
    help.whom && el("p", { class: "words", text: who(help.whom) }),
    el("p", { class: "more", "data-left": true }),
    offered && button(t("A colleague helps now"), () => post("newpin")),
    quit(),
  ];
}

function input(id, words, given = {}) {
  return el(
    "div",
    { class: "field" },
    el("label", { class: "label", for: id, text: words }),
    // The glass has letters of its own (`letters.js`); no other keyboard comes up beside them.
    el("input", { id, name: id, class: "input", autocomplete: "off", spellcheck: "false", inputmode: "none", ...given }),
  );
}

/** Who gets the temporary card: found among the site's people, or a guest with a number. */
export function helpPerson() {
  return [
    title(t("A temporary card")),
    el("div", { class: "columns form" }, search(), guest()),
    el(
      "div",
      { class: "row" },
      el(
        "label",
        { class: "toggle", for: "lost" },
        el("input", { id: "lost", type: "checkbox" }),
        el("span", { text: t("Their own card is lost: lock it") }),
      ),
      hours(),
      quit(),
    ),
  ];
}

function search() {
  const form = el(
    "form",
    { class: "group", autocomplete: "off" },
    el(
      "div",
      { class: "beside" },
      input("find", t("Initials, part of the name, or staff number"), { maxlength: "80" }),
      el("button", { class: "nhsuk-button nhsuk-button--secondary", text: t("Search") }),
    ),
    el("p", { id: "found-note", class: "more", role: "status" }),
    el("div", { id: "found", class: "answers" }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    post("find_person", { text: $("find").value.trim() });
  });
  return form;
}

function guest() {
  const form = el(
    "form",
    { class: "group", autocomplete: "off" },
    input("guest-name", t("Or a guest's name"), { maxlength: "80", autocapitalize: "words" }),
    el(
      "div",
      { class: "beside" },
      input("guest-number", t("Professional number"), { maxlength: "32", autocapitalize: "characters" }),
      el("button", { class: "nhsuk-button", text: t("Give the guest a card") }),
    ),
    el("p", { id: "guest-fault", class: "nhsuk-error-message", role: "alert" }),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [name, number] = [$("guest-name").value.trim(), $("guest-number").value.trim()];
    const taken = await post("spare", { name, number, lost: $("lost").checked, minutes: minutes() });
    if (!taken && $("guest-fault")) $("guest-fault").textContent = t("Name and number are both needed.");
  });
  return form;
}

function hours() {
  return el(
    "fieldset",
    { class: "choice" },
    el("legend", { text: t("For how long") }),
    ...HOURS.map((many, at) =>
      el(
        "label",
        {},
        el("input", { type: "radio", name: "minutes", value: String(many * 60), checked: at === 0 }),
        el("span", { text: t("{n} hours", { n: many }) }),
      ),
    ),
  );
}

const minutes = () => Number(document.querySelector('[name="minutes"]:checked')?.value ?? HOURS[0] * 60);

/** What the search has found: redrawn while the form that it belongs to stays. */
export function drawFound({ panels: { help } }) {
  $("found-note").textContent = help.searching ? t("Searching.") : help.note ? t(help.note) : "";
  const key = JSON.stringify(help.found);
  if ($("found").dataset.drawn === key) return;
  $("found").dataset.drawn = key;
  $("found").replaceChildren(
    ...(help.found ?? []).map((one) =>
      button([one.initials, one.role, one.holder].filter(Boolean).join(" · "), () =>
        post("spare", { holder: one.holder, lost: $("lost").checked, minutes: minutes() }),
      ),
    ),
  );
}
