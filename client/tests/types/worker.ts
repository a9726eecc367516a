/** A worker: no page, and so no types of one; our declarations are checked without them. */

import { connect, MessageflowError, status } from "messageflow";

const flow = connect<{ note: string }>({ url: "https://push.example.com", getToken: async ({ signal }) => (await fetch("/token", { signal })).text() });
flow.on("note", (text) => text.trim());
status(flow, { connected: { textContent: null, setAttribute() {} } });
export const failed = (error: unknown): boolean => error instanceof MessageflowError && error.temporary;
