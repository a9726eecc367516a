/**
 * Where the gateway is: from what a page says, or from where the script came. Pure.
 */
/**
 * Make a WebSocket address of what a page author writes.
 *
 * @param url absolute (`ws`, `wss`, `http`, `https`) or relative to the page; without a path, the gateway's own is meant.
 * @param page the address that relative ones are relative to.
 */
export declare function socketUrl(url: string, page: string | undefined): string;
