// The terminal behind the page: its states come down one stream, what people do goes up by POST.

const SILENCE_MS = 6000; // the terminal pings every two seconds
const AGAIN_MS = 500;

const boot = new URLSearchParams(location.search).get("boot") || "";
const secret = () => `boot=${encodeURIComponent(boot)}`;

/** Says something to the terminal. Resolves to whether it was taken. */
export function post(path, body = {}) {
  return fetch(`/${path}`, {
    method: "POST",
    cache: "no-store",
    credentials: "omit",
    headers: { "Content-Type": "application/json", "X-Tapover-Boot": boot },
    body: JSON.stringify(body),
  }).then(
    (answer) => answer.ok,
    () => false, // the stream notices too, and covers
  );
}

/** What the information page shows; null when the terminal does not say. */
export async function information() {
  try {
    const answer = await fetch(`/info?${secret()}`, { cache: "no-store", credentials: "omit" });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** Follows the terminal for ever: `drawn` for each state, `lost` when it falls silent. */
export function follow(drawn, lost) {
  let silence = 0;
  let stream = null;

  function heard() {
    clearTimeout(silence);
    silence = setTimeout(again, SILENCE_MS);
  }
  function again() {
    clearTimeout(silence);
    lost();
    if (stream) stream.close();
    stream = null;
    setTimeout(connect, AGAIN_MS);
  }
  function connect() {
    if (stream) return;
    stream = new EventSource(`/state?${secret()}`);
    stream.addEventListener("message", (event) => {
      heard();
      const state = JSON.parse(event.data);
      drawn(state);
      post("received", { seq: state.seq });
    });
    stream.addEventListener("ping", heard);
    stream.addEventListener("error", again);
    heard();
  }
  connect();
}
