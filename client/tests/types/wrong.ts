/** Programs that are wrong: the compiler must say so of each line it is told to expect it of. */

import { connect, type Flow, status } from "messageflow";

interface Pushes {
  "report/ready": { id: number };
}

declare const flow: Flow;
const typed = connect<Pushes>();

// @ts-expect-error a class that is no WebSocket
connect({ WebSocket: class {} });
// @ts-expect-error an instance is no class
connect({ WebSocket: new WebSocket("ws://x") });
// @ts-expect-error a token is text
connect({ token: 7 });
// @ts-expect-error null is no token
connect({ token: null });
// @ts-expect-error an option that does not exist
connect({ tokenURL: "/token" });
// @ts-expect-error an option that nothing reads
connect({ data: 1 });
// @ts-expect-error options are an object
connect("ws://push.example.com");
// @ts-expect-error getToken gives text
connect({ getToken: () => 7 });
// @ts-expect-error a type that is not pushed
typed.on("report/raedy", () => {});
// @ts-expect-error nor in the options
connect<Pushes>({ on: { "report/raedy": () => {} } });
// @ts-expect-error a payload that is another
typed.on("report/ready", (payload: string) => payload);
// @ts-expect-error the payload has no such field
typed.on("report/ready", (payload) => payload.title);
// @ts-expect-error the payload of an unknown type is unknown
flow.on("report/ready", (payload) => payload.id);
// @ts-expect-error an action is an object
flow.onMessage((action: number) => action);
// @ts-expect-error a handler is needed
flow.on("report/ready");
// @ts-expect-error a publication that is another
flow.subscribe("chat", (message: { text: string }) => message).publish({ txet: "x" });
// @ts-expect-error the parts of the client are not for pages
flow.subscribe("chat").machine;
// @ts-expect-error getState gives a position
flow.subscribe("chat", { getState: async () => {} });
// @ts-expect-error nor is its constructor
status(new Flow({}), {});
// @ts-expect-error states are words
flow.onState((state) => state === "conected");
// @ts-expect-error the name of the key is idempotencyKey
flow.publish("chat", 1, { idempotency_key: "k" });

// What pages say, in maps.
const said = connect<Pushes, { "city/submitted": { name: string } }, { search: { data: { text: string }; result: string[] } }>();
// @ts-expect-error a name that nothing handles
said.emit("city/submited", { name: "Rome" });
// @ts-expect-error data that is another
said.emit("city/submitted", { name: 7 });
// @ts-expect-error data that must be there
said.emit("city/submitted");
// @ts-expect-error a name that nothing answers
said.call("find", { text: "a" });
// @ts-expect-error data that is another
said.call("search", "a");
// @ts-expect-error a result that is another
const wrong: Promise<number> = said.call("search", { text: "a" });
