/**
 * Where a token comes from: given, fetched from a URL, or made by a function; and kept until it is refused.
 *
 * Owns the token. It must never put one in a URL, a log line or an error message.
 */

import { Attempt } from "./attempt.js";
import { asError, checkFunction, MessageflowError, TOKEN_FAILED, UNAUTHORIZED } from "./codes.js";
import type { Platform } from "./platform.js";

export interface TokenOptions {
  /** A JWT. */
  token?: string | undefined;
  /** Fetched with the page's cookies; answers `{"token": "…"}`, `{"data": {"token": "…"}}` or the bare token. */
  tokenUrl?: string | undefined;
  /** Returns a JWT, or null when nobody is logged in. `signal` says when its answer is waited for no more; hand it to `fetch`. */
  getToken?: ((request: { signal: AbortSignal }) => Promise<string | null | undefined> | string | null | undefined) | undefined;
}

/** Header, claims and signature in base64url. */
const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;

type Fetch = (signal: AbortSignal) => Promise<string | null | undefined>;

const FETCH_TIMEOUT_MS = 10_000;

export class TokenSource {
  /** Whether a token was given, or a way to one. */
  readonly given: boolean;
  readonly #fetch: Fetch | undefined;
  readonly #attempt: Attempt;
  #token: string | undefined;

  constructor(platform: Platform, options: TokenOptions) {
    const { token, tokenUrl, getToken } = options;
    if (getToken !== undefined) checkFunction("getToken", getToken);
    if (token !== undefined && (typeof token !== "string" || !token)) {
      throw new TypeError("token must be a JWT, or left out.");
    }
    this.given = !!(token || tokenUrl || getToken);
    this.#attempt = new Attempt(platform);
    this.#token = token;
    this.#fetch = getToken
      ? async (signal) => getToken({ signal })
      : tokenUrl
        ? (signal) => fetchToken(platform, tokenUrl, signal)
        : undefined;
  }

  /** The token at hand, if there is one. */
  get current(): string | undefined {
    return this.#token;
  }

  /** Go on with a token that is in use, unless there is one of its own. */
  inherit(token: string | undefined): void {
    this.#token ??= token;
  }

  /** Whether a new token can be had. */
  get renewable(): boolean {
    return !!this.#fetch;
  }

  /** Whether there is nothing to wait for: a token is at hand, or there is none to have. */
  get ready(): boolean {
    return !!this.#token || !this.#fetch;
  }

  /** Forget the token. One that was given and cannot be fetched stays: there is no other. */
  drop(): void {
    if (this.#fetch) this.#token = undefined;
  }

  /**
   * Make sure of a token.
   *
   * @returns the token, or undefined for a client that has no way to one: it is anonymous.
   * @throws MessageflowError with `temporary` false when asking again is of no use.
   */
  async get(): Promise<string | undefined> {
    if (!this.#token && this.#fetch) this.#token = await this.#load(this.#fetch);
    return this.#token;
  }

  /** Get a new token in place of the present one. */
  renew(): Promise<string | undefined> {
    this.drop();
    return this.get();
  }

  /** Abort a fetch under way: its outcome counts no more. */
  abandon(): void {
    this.#attempt.abandon();
  }

  async #load(fetch: Fetch): Promise<string> {
    try {
      const token = await this.#attempt.run(fetch, FETCH_TIMEOUT_MS); // a later fetch is about a later login
      if (!token) throw new MessageflowError(UNAUTHORIZED, "getToken gave no token: nobody is logged in.");
      return token;
    } catch (error) {
      throw asError(error, TOKEN_FAILED, "Could not get a token: ", true);
    }
  }
}

async function fetchToken(platform: Platform, url: string, signal: AbortSignal): Promise<string> {
  const response = await platform.fetch(url, signal);
  if (response.status === 401 || response.status === 403) {
    throw new MessageflowError(UNAUTHORIZED, `${url} answered ${response.status}: nobody is logged in.`);
  }
  const { ok, redirected, status } = response;
  const text = ok ? await response.text() : "";
  const token = readToken(text);
  if (token) return token;
  let said = ok ? "something that holds no token" : `${status}`;
  if (redirected || /^\s*</.test(text)) {
    said = `${ok ? "a page" : `a redirect that ended in ${status}`}, not a token: is somebody logged in? If nobody is, answer 401`;
  }
  throw new Error(`${url} answered ${said}`);
}

/** Find the token in what a token endpoint answers, in any of the forms our ancestors used. */
export function readToken(text: string): string | undefined {
  let found: unknown = text.trim();
  try {
    const body = JSON.parse(text) as null | string | { token?: unknown; data?: { token?: unknown } };
    found = typeof body === "object" ? (body?.token ?? body?.data?.token) : body;
  } catch {
    // Not JSON: the bare token, or an error page, which the pattern below refuses.
  }
  return typeof found === "string" && JWT.test(found) ? found : undefined;
}
