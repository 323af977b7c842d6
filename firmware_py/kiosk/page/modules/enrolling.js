// What a terminal without a certificate that serves shows to whoever unpacks it.

import { $, el, redraw, say } from "./dom.js";
import { msg, t } from "./words.js";

const STEPS = {
  file: msg("Enrolment file"),
  link: msg("Network cable"),
  address: msg("Address"),
  name: msg("Name"),
  gateway: msg("Gateway"),
  clock: msg("Clock"),
  certificate: msg("Certificate"),
  token: msg("Token"),
};
const MARKS = { done: ["✓", msg("done")], waits: ["▶", msg("waits")], later: ["·", msg("later")] };

export function drawEnrolling(state) {
  const { enrolling, screen } = state;
  const shown = enrolling && ["enrolling", "locked", "waiting"].includes(screen);
  $("enrolling").hidden = !shown;
  if (!shown) return;
  let title = enrolling.terminal ? t("Terminal {name}", { name: enrolling.terminal }) : "";
  if (screen !== "enrolling" && enrolling.code) {
    title += `: ${t("its certificate has lapsed. An operator lets it in again:")}`;
  }
  say($("enrolling-title"), title);
  say($("enrolling-code"), enrolling.code);
  redraw($("enrolling-steps"), [enrolling.steps, document.documentElement.lang], () =>
    enrolling.steps.map(line),
  );
  const machine = [];
  if (enrolling.mac) machine.push(t("MAC address {mac}", { mac: enrolling.mac }));
  if (enrolling.addresses.length) {
    machine.push(t("Address {addresses}", { addresses: enrolling.addresses.join(", ") }));
  }
  say($("enrolling-machine"), machine.join(" · "));
}

function line(step) {
  const [mark, said] = MARKS[step.state] || MARKS.later;
  // What is waited for is said above, large.
  const more = step.state === "waits" ? "" : t(step.words);
  return el(
    "li",
    { class: step.state },
    el("span", { role: "img", "aria-label": t(said), text: mark }),
    el("span", { text: t(STEPS[step.name] || step.name) }),
    el("span", { text: more }),
  );
}
