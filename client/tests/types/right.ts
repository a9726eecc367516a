/** Programs that are right, as pages and Node write them: every line must compile, against the declarations we ship. */

import { type Action, connect, createSocket, type Flow, type GetState, MessageflowError, type Options, type Position, status, type Subscription } from "messageflow";
import { legacy_createStore as createStore, type Dispatch, type UnknownAction } from "redux";
import { WebSocket as NodeSocket } from "ws";

interface Report {
  id: number;
  title: string;
}

interface Message {
  text: string;
}

interface Pushes {
  "report/ready": Report;
  "report/failed": { id: number; reason: string };
  ping: null;
}

// A class for the socket: the browser's, that of ws, one derived from it.
connect({ WebSocket });
connect({ WebSocket: NodeSocket });
connect({ WebSocket: globalThis.WebSocket });
connect({
  WebSocket: class extends NodeSocket {
    constructor(url: string | URL) {
      super(url, { headers: { cookie: "session=1" } });
    }
  },
});

// What is undefined is as good as left out.
declare const found: { token?: string };
connect({ token: found.token, url: undefined, onMessage: undefined, channels: undefined, connectTimeout: undefined });
connect({ getToken: async () => found.token, on: { "report/ready": undefined }, WebSocket: undefined });
createSocket("/websocket", (message) => message.data, { token: found.token });
const options: Options = { token: found.token };
status(connect(options), { dot: undefined, connected: "#connected", authenticated: document.querySelector("#who") });

// Payloads without a map: said where they are handled.
const flow: Flow = connect({ on: { "report/ready": (report: Report) => report.title, other: (payload) => String(payload) } });
const off: () => void = flow.on("report/ready", (report: Report) => report.title);
off();
connect({ on: { one() {} } }).on("another", () => {});
flow.on<Report>("report/ready", (report) => report.title);
flow.on("report/ready", (payload, { channel, offset }) => [payload, channel.length, offset ?? 0]);
flow.onMessage((action) => [action.type.length, action.payload]);
flow.onUnknown((data, context) => [data, context.recovered]);

// With a map: types and payloads are checked, and actions told apart by their type.
const typed = connect<Pushes>({ on: { "report/ready": (report) => report.title, ping: () => {} } });
typed.on("report/failed", ({ reason }) => reason.length);
typed.onMessage((action) => {
  if (action.type === "report/ready") return action.payload.title;
  return action.type === "report/failed" ? action.payload.reason : action.payload;
});
status(typed, {});

// What pages say, in the maps that `messageflow types` writes.
interface Emits {
  "city/submitted": { name: string; inhabitants?: number };
  refresh: { deep?: boolean };
  anything: unknown;
}
interface Calls {
  search: { data: { text: string }; result: Report[] };
  count: { data: unknown; result: number };
}
const said = connect<Pushes, Emits, Calls>({ on: { ping() {} } });
void said.emit("city/submitted", { name: "Rome" }, { key: "k", timeout: undefined });
void said.emit("refresh");
void said.emit("refresh", undefined, { timeout: 5 });
void said.emit("anything", [1]);
void connect<Pushes>().emit("whatever", { a: 1 });
const titles = async (): Promise<string[]> => (await said.call("search", { text: "a" }, { timeout: 5 })).map(({ title }) => title);
const all: Promise<number> = said.call("count");
void [titles, all, flow.call<number>("double", 21), flow.emit("city"), said.rpc<number>("double", 21)];
const double: Promise<number> = flow.call("double", 21);
void double;

// Stores take actions as they come.
const store = createStore((state: number = 0, action: UnknownAction) => (action.type === "a" ? state + 1 : state));
flow.onMessage(store.dispatch);
connect({ onMessage: store.dispatch });
typed.onMessage(store.dispatch);
flow.onMessage((action) => store.dispatch(action));
typed.onMessage((action) => store.dispatch(action));
createSocket("/websocket", store.dispatch);
createSocket("/websocket", (message) => store.dispatch(message));
declare const dispatch: Dispatch<Action>;
flow.onMessage(dispatch);
declare const reduce: (action: { type: "report/ready"; payload: Report } | { type: "reset" }) => void;
flow.onMessage(reduce);
const own: Action = { type: "own" };
const exact: Action<"own", number> = { type: "own", payload: 1 };
dispatch(own);
dispatch(exact);

// Channels: what is published has a type, too.
const chat = flow.subscribe("chat", (message: Message) => message.text);
const same: Subscription<Message> = chat;
flow.subscribe<Message>("chat", { onPublication: ({ text }) => text, token: found.token, onError: undefined });
flow.subscribe("chat", (data) => String(data));
const getState: GetState = async ({ signal }) => ((await (await fetch("/chat", { signal })).json()) as { position: Position }).position;
flow.subscribe<Message>("chat", { getState, onPublication: ({ text }) => text });
flow.subscribe("chat", { getState: () => ({ epoch: "e", offset: 7 }) });
connect({ channels: { chat: (message: Message) => message.text, lobby: { onCount: ({ users }) => users, getToken: undefined } } });
const whole = async (): Promise<string | undefined> => {
  await same.publish({ text: "hello" }, { idempotencyKey: undefined });
  const { publications } = await chat.history({ limit: undefined, since: { epoch: "e", offset: 1 } });
  const others = await flow.history<Message>("chat");
  const sum: number = await flow.rpc<number>("sum", [1, 2]);
  await flow.publish("chat", { text: String(sum) }, { idempotencyKey: "k" });
  return publications[0]?.data.text ?? others.publications[0]?.data.text;
};
whole().catch((error: unknown) => {
  if (error instanceof MessageflowError && !error.unknown && error.temporary) return error.code;
  return error;
});
