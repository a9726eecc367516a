/** A page that loads the script: the global has the types of the package. */

const flow = messageflow.connect<{ "report/ready": { id: number } }>({ tokenUrl: "/token" });
flow.on("report/ready", ({ id }) => id.toFixed());
window.messageflow.createSocket("/websocket", ({ data }) => data);
globalThis.messageflow.status(flow, { dot: "#dot" });
const version: string = messageflow.version;
const failed = (error: unknown): boolean => error instanceof messageflow.MessageflowError && error.temporary;
failed(version);
// @ts-expect-error the script gives the page nothing else
messageflow.setOrigin("https://x");
// @ts-expect-error nor is anything in it to be replaced by something else
messageflow.connect = 7;
