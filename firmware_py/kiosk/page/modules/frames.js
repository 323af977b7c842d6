// The borders of what is not ordinary, all the time that it lasts, each with its own pattern and its
// own words: hatched for emergency access, striped for downtime, dotted for a screen held open.
// And the lines under the top bar that say what else everybody here should know.

import { $, button, el, redraw, shape } from "./dom.js";
import { lasting, msg, t } from "./words.js";
import { post } from "./link.js";

const MISSING = {
  readers: msg("a card reader"),
  pcscd: msg("the card service"),
  broker: msg("the network"),
  gateway: msg("the site's gateway"),
  directory: msg("the list of cards"),
};

/** Which border the glass wears; the most urgent where there are several. */
export function frameOf({ breakglass, downtime, hold }) {
  if (breakglass?.active) return "breakglass";
  if (downtime?.state === "on") return "downtime";
  if (typeof hold?.left_s === "number") return "hold";
  return "";
}

const join = (parts) => parts.filter(Boolean).join(" · ");
const who = (people) => people.map((one) => [one.initials, one.role].filter(Boolean).join(" ")).join(", ");

/** `kind` names the look, and whose time is left. */
function banner(kind, mark, title, words, ...actions) {
  return el(
    "div",
    { class: `banner banner--${kind}`, role: "group", "aria-label": title },
    shape(mark),
    el("p", {}, el("b", { text: title }), " ", el("span", { text: join(words) }), el("span", { "data-left": kind })),
    ...actions,
  );
}

function emergency({ active, unidentified, unrecorded, unheard }) {
  const words = [active.reason && t(active.reason), unidentified && t("person not identified")];
  const made = [banner("breakglass", "hatch", t("Emergency access"), words)];
  if (unrecorded) {
    made.push(banner("stop", "stop", t("UNRECORDED"), [t("Nothing can be written down just now. Note by hand what you do.")]));
  }
  if (unheard) made.push(banner("stop", "stop", t("NOBODY TOLD"), [t(unheard)]));
  return made;
}

function held({ covered, panels: { hold } }) {
  const shared = hold.joined?.length && t("shared with {people}: author uncertain", { people: who(hold.joined) });
  const end = !covered && button(t("End hold"), () => post("unhold"), { kind: "secondary" });
  return banner("hold", "pair", t("Held open"), [shared], end);
}

function downtime({ covered, panels: { downtime: down } }) {
  const by = down.by?.length && t("declared by {people}", { people: down.by.join(", ") });
  const end = !covered && button(t("End downtime"), () => post("downtime_end"), { kind: "secondary" });
  return banner("downtime", "stripes", t("Downtime"), [by], end);
}

function leftCard({ initials, interface: where }) {
  const words = where === "contact" ? t("A card was left in the slot") : t("A card was left on the reader");
  return banner("warn", "card", words, [initials]);
}

function alert(one) {
  const words = [one.initials, one.reason && t(one.reason), t("{time} ago", { time: lasting(one.age_s) })];
  return banner("breakglass", "hatch", t("Emergency access at {terminal}", { terminal: one.terminal }), words);
}

/** What she should know of her own other work: where it is, or that there was no room for it. */
function otherWork({ moved, unsaved }) {
  const kept = (seconds) => typeof seconds === "number" && t("Kept for {time}.", { time: lasting(seconds) });
  return [
    moved && banner("warn", "away", t("Your other work"), [t(moved.words), kept(moved.until_s)]),
    unsaved && banner("warn", "note", t("Not saved"), [t(unsaved.words)]),
  ];
}

/** Under the bar, most urgent first. */
export function drawBanners(state) {
  const { breakglass, downtime: down, hold, left: card, alerts } = state.panels;
  const missing = state.screen === "enrolling" ? [] : state.waits_for.map((what) => t(MISSING[what] || what));
  document.body.dataset.frame = frameOf(state.panels);
  // Time left is written into what stands there already: a button under a finger stays.
  const glass = breakglass?.active && { ...breakglass.active, left_s: 0 };
  const holding = typeof hold?.left_s === "number";
  const key = [document.documentElement.lang, state.covered, glass, breakglass?.unidentified];
  key.push(breakglass?.unrecorded, breakglass?.unheard);
  const { moved, unsaved } = state.covered ? {} : state.panels;
  key.push(down?.state, down?.by, holding && hold.joined, card, alerts, missing, moved, unsaved);
  redraw($("banners"), key, () => [
    ...(glass ? emergency(breakglass) : []),
    ...(alerts?.list ?? []).map(alert),
    card && leftCard(card),
    ...otherWork({ moved, unsaved }),
    down?.state === "on" && downtime(state),
    holding && held(state),
    missing.length && banner("quiet", "away", t("Waiting for"), [missing.join(", ")]),
  ]);
  tellLeft({ breakglass: breakglass?.active?.left_s, downtime: down?.left_s, hold: hold?.left_s });
}

function tellLeft(seconds) {
  for (const node of $("banners").querySelectorAll("[data-left]")) {
    const left = seconds[node.dataset.left];
    node.textContent = typeof left === "number" ? ` · ${t("{time} left", { time: lasting(left) })}` : "";
  }
}
