/**
 * Where the gateway is: from what a page says, or from where the script came. Pure.
 */

const PATH = "/connection/websocket";

const sibling = (name: string) => (url: string): string => url.replace(/^ws/, "http").replace(PATH, `/connection/${name}`);

/** Where the stream is that takes the place of the WebSocket at an address. */
export const HTTP_STREAM = sibling("http_stream");

/** Where its commands are sent. */
export const SEND = sibling("emulation");

/** Whether there is such a stream beside it: the address is a gateway's own. */
export function hasHttp(url: string): boolean {
  return url.includes(PATH);
}

/**
 * Make a WebSocket address of what a page author writes.
 *
 * @param url absolute (`ws`, `wss`, `http`, `https`) or relative to the page. It is the gateway's base, as `Flow` and the
 *   command line take it: a path is what a proxy puts before the gateway's own. A `ws:` address with a path is taken as it is.
 * @param page the address that relative ones are relative to.
 */
export function socketUrl(url: string, page: string | undefined): string {
  let parsed: URL;
  try {
    parsed = new URL(url, page);
  } catch {
    throw new TypeError(`"${url}" is no address; give the gateway's, such as "https://push.example.com".`);
  }
  if (parsed.searchParams.has("token") || parsed.searchParams.has("access_token")) {
    throw new TypeError("A token must not stand in a URL; give it as token, tokenUrl or getToken.");
  }
  const protocol = parsed.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(protocol)) throw new TypeError(`"${url}" must begin with ws:, wss:, http: or https:.`);
  const { pathname } = parsed;
  const whole = parsed.protocol[0] === "w" ? pathname !== "/" : pathname.endsWith(PATH);
  const path = whole ? pathname : pathname.replace(/\/*$/, PATH);
  return `${protocol}//${parsed.host}${path}${parsed.search}`;
}
