// Breaking the glass: held for a second and a half, then one reason by one touch.

import { button, el, wayOut } from "./dom.js";
import { holdButton } from "./press.js";
import { post } from "./link.js";
import { t } from "./words.js";

const HOLD_MS = 1500;

const title = (words) => el("h1", { id: "sheet-title", tabindex: "-1", text: words });
const cancel = (press) => wayOut(t("Cancel"), press);
const more = (words) => el("p", { class: "more", text: words });

/** The button itself, as it stands in the dock and on the offer. */
export function glassButton(panel, open) {
  const holdMs = panel.hold_ms ?? HOLD_MS;
  const hint = t("Hold for {n} seconds", { n: holdMs / 1000 });
  return holdButton(t("Emergency access"), hint, holdMs, () => open({ kind: "reasons" }));
}

export function breakGlass({ panels: { breakglass }, words, reference }, { open }) {
  return [
    title(t(words)),
    reference && el("p", { class: "reference", text: t("Reference {reference}", { reference }) }),
    more(t("Emergency access opens the ward's emergency role. It is announced at once and looked at afterwards.")),
    glassButton(breakglass, open),
    cancel(() => post("cancel")),
  ];
}

export function reasons({ panels: { breakglass } }, { close }) {
  const press = (code) => () => {
    post("breakglass", { reason: code });
    close();
  };
  const answers = breakglass.reasons.map((one) => button(t(one.words), press(one.code), { kind: "warning" }));
  return [title(t("Emergency access: why?")), el("div", { class: "answers" }, ...answers), cancel(close)];
}

export function colleague({ panels: { breakglass }, words }) {
  return [
    title(t(breakglass.words ?? words)),
    more(t("Alone you can read and do nothing else, for a short time.")),
    el(
      "div",
      { class: "answers" },
      button(t("A colleague taps now"), () => post("breakglass_colleague")),
      button(t("Go on alone, read only"), () => post("breakglass_alone"), { kind: "warning" }),
    ),
    el("p", { class: "more", "data-left": true }),
    cancel(() => post("cancel")),
  ];
}
