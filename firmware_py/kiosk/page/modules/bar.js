// The top bar: which state, who, in which role, connected or not and how old the rights are. Always.

import { $, say } from "./dom.js";
import { count, msg, named, t } from "./words.js";

const FACES = {
  starting: [msg("Starting"), "ring", "rest"],
  enrolling: [msg("Enrolment"), "warn", "warn"],
  waiting: [msg("Waiting"), "warn", "warn"],
  locked: [msg("Locked"), "lock", "rest"],
  checking: [msg("Checking"), "ring", "busy"],
  pin: [msg("PIN"), "ask", "ask"],
  choose: [msg("Choose"), "ask", "ask"],
  open: [msg("Open"), "open", "open"],
  dimmed: [msg("Dimmed"), "half", "rest"],
  warning: [msg("Locking soon"), "warn", "warn"],
  refused: [msg("Not accepted"), "stop", "stop"],
  offer: [msg("Emergency"), "hatch", "warn"],
  notice: [msg("Note"), "note", "ask"],
};

// What is asked on top of somebody's work has a face of its own.
const ASKING = [
  ["countersign", [msg("Countersign"), "note", "ask"]],
  ["pin", FACES.pin],
  ["help", [msg("Help"), "card", "ask"]],
];

/** Word, shape and colour of a state. */
export function faceOf({ screen, panels }) {
  const asking = ASKING.find(([name]) => panels[name]);
  if (asking && !["checking", "refused"].includes(screen)) return asking[1];
  if (screen === "open" && panels.breakglass?.active) return FACES.offer;
  if (panels.breakglass?.waits_for_colleague) return FACES.offer;
  if (panels.downtime?.state === "declaring") return [msg("Downtime"), "stripes", "ask"];
  if (panels.hold?.asks) return [msg("Held open"), "pair", "ask"];
  return FACES[screen] || FACES.notice;
}

function age(seconds) {
  if (seconds === null) return t("no list of cards yet");
  if (seconds < 60) return t("card list up to date");
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return count(minutes, msg("card list {n} minute old"), msg("card list {n} minutes old"));
  return t("card list {n} hours old", { n: Math.round(seconds / 3600) });
}

/** A person's name as it is; only what stands where nobody is identified is a sentence of ours. */
export const nameOf = ({ name, panels }) => (panels.breakglass?.unidentified ? named(name) : name);

export function drawBar(state) {
  const [word, shape, tone] = faceOf(state);
  document.body.dataset.tone = tone;
  $("state-shape").setAttribute("href", `#shape-${shape}`);
  $("state-word").textContent = t(word);
  const name = $("bar-name");
  name.textContent = nameOf(state) || t("Nobody signed on");
  name.className = state.name ? "named" : "";
  say($("bar-role"), named(state.role));
  document.title = state.name ? `${state.name}, ${state.role}` : `${t("Ward terminal")}: ${t(word)}`;
  drawLink(state);
  $("role-change").hidden = !state.panels.positions || state.covered;
  $("lock").hidden = !state.name || state.covered;
}

function drawLink(state) {
  const online = state.link === "online";
  $("link-shape").setAttribute("href", online ? "#shape-joined" : "#shape-away");
  document.body.dataset.link = state.link;
  const serving = state.screen !== "enrolling";
  $("link-word").textContent = serving ? t(online ? msg("Online") : msg("Offline")) : t("Not in service yet");
  const clock = state.clock === "unconfirmed" ? t("clock not confirmed") : "";
  say($("link-age"), serving && [age(state.rights_age_s), clock].filter(Boolean).join(" · "));
}
