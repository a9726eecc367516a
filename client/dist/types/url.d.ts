/**
 * Where the gateway is: from what a page says, or from where the script came. Pure.
 */
/** Where the stream is that takes the place of the WebSocket at an address. */
export declare const HTTP_STREAM: (url: string) => string;
/** Where its commands are sent. */
export declare const SEND: (url: string) => string;
/** Whether there is such a stream beside it: the address is a gateway's own. */
export declare function hasHttp(url: string): boolean;
/**
 * Make a WebSocket address of what a page author writes.
 *
 * @param url absolute (`ws`, `wss`, `http`, `https`) or relative to the page. It is the gateway's base, as `Flow` and the
 *   command line take it: a path is what a proxy puts before the gateway's own. A `ws:` address with a path is taken as it is.
 * @param page the address that relative ones are relative to.
 */
export declare function socketUrl(url: string, page: string | undefined): string;
