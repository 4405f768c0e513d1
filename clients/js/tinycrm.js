// Reports people to a TinyCRM server. Works wherever there is fetch: Node, Deno, Bun, workers.
// Keys are secrets of a backend; this is not for pages that visitors load.
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const fault = (code, thrown) => ({ code, message: String(thrown.message ?? thrown) });

export class TinyCRM {
  #url;
  #key;
  #options;

  // new TinyCRM("https://KEY@host", {…}) or new TinyCRM({ apiKey, url, … })
  constructor(where, options = {}) {
    if (typeof where === "string") {
      const address = new URL(where);
      options = { ...options, apiKey: decodeURIComponent(address.username) };
      address.username = address.password = "";
      options.url = address.href;
    } else options = { ...where };
    if (!options.apiKey || !options.url) throw new TypeError("TinyCRM needs an API key and a URL");
    this.#key = options.apiKey;
    this.#url = options.url.replace(/\/+$/, "");
    this.#options = { timeout: 10000, retries: 3, onError: null, ...options };
  }

  // fields: name, status, params, set_once, unset, at (a Date or ISO 8601 text), active
  identify(email, fields = {}) {
    return this.#send("identify", { ...fields, email });
  }

  ping(email, at) {
    return this.#send("ping", { email, at });
  }

  changeEmail(email, next, at) {
    return this.#send("change_email", { email, new: next, at });
  }

  // Never rejects: what went wrong is in `error` of the result. The event keeps the time of the
  // call, so that one which arrives late or twice changes nothing newer.
  async #send(kind, fields) {
    const { timeout, retries, onError } = this.#options;
    let error, wait;
    try {
      const event = { ...fields, at: new Date(fields.at ?? Date.now()).toISOString() };
      for (let tried = 0; tried <= retries; tried++) {
        if (tried) await pause(wait ?? Math.random() * 500 * 2 ** tried);
        wait = undefined;
        try {
          const answer = await fetch(`${this.#url}/v1/${kind}`, {
            method: "POST",
            // Workers of Cloudflare know no "error" here.
            redirect: "manual",
            signal: AbortSignal.timeout(timeout),
            headers: { "Content-Type": "application/json", Authorization: `Bearer ${this.#key}` },
            body: JSON.stringify({ ...event, sent_at: new Date().toISOString() }),
          });
          if (!answer.ok && answer.status < 400) throw new Error("redirects are not followed");
          const body = await answer.json();
          if (answer.ok) return body;
          error = { status: answer.status, ...body.error };
          if (answer.status < 500 && ![408, 429].includes(answer.status)) break;
          wait = Math.min(answer.headers.get("retry-after") * 1000, 30000) || undefined;
        } catch (failure) {
          error = fault("network", failure);
        }
      }
    } catch (failure) {
      error = fault("invalid", failure);
    }
    try {
      onError?.(error);
    } catch {}
    return { error };
  }
}
