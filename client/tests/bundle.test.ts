/** The minified script as a page runs it: renamed properties, the global, the ancestors' call. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createContext, runInContext } from "node:vm";
import type * as messageflow from "../src/index.js";
import { FakeDocument } from "./page.js";
import { JWT, Peer, settle } from "./platform.js";

declare const CLIENT_ROOT: string;

const SCRIPT = readFileSync(join(CLIENT_ROOT, "../src/messageflow/gateway/static/messageflow.js"), "utf8");

interface Page {
  messageflow: typeof messageflow;
  document: FakeDocument;
  window: EventTarget;
  peers: Peer[];
  fetched: [url: string, init: RequestInit][];
}

/** Load the script into a page of its own. */
function page(src: string, href = "https://shop.example/orders", dataset: Record<string, string> = {}): Page {
  const document = new FakeDocument();
  const window = new EventTarget();
  const peers: Peer[] = [];
  const fetched: Page["fetched"] = [];
  class WebSocket extends Peer {
    constructor(url: string) {
      super(url);
      peers.push(this);
    }
  }
  const fetch = async (url: string, init: RequestInit): Promise<object> => {
    fetched.push([url, init]);
    return { ok: true, status: 200, text: async () => JSON.stringify({ token: JWT }) };
  };
  document.currentScript = { src, dataset };
  const globals = {
    document,
    window,
    WebSocket,
    fetch,
    URL,
    AbortController,
    performance,
    console,
    setTimeout,
    clearTimeout,
    queueMicrotask,
    location: { href },
    addEventListener: window.addEventListener.bind(window),
    removeEventListener: window.removeEventListener.bind(window),
  };
  const context = createContext(globals) as Page & typeof globals;
  runInContext(SCRIPT, context);
  document.currentScript = null;
  return Object.assign(context, { peers, fetched });
}

function only(peers: Peer[]): Peer {
  assert.equal(peers.length, 1);
  return peers[0] as Peer;
}

describe("the script", () => {
  test("names itself, its version and its licence", () => {
    assert.match(SCRIPT, /^\/\*! messageflow 0\.1\.0 \| BSD-3-Clause \|/);
  });

  test("takes from its tag what the page leaves out, and the position once", async () => {
    const since = { "#alice": { epoch: "e", offset: 7 } };
    const said = { tokenUrl: "/socket_auth_token", since: JSON.stringify(since) };
    const { messageflow, peers, fetched } = page("http://push.example/messageflow.js", undefined, said);
    for (const first of [true, false]) {
      const flow = messageflow.connect();
      await settle();
      assert.equal(fetched.pop()?.[0], "/socket_auth_token");
      const [sent] = (await peers.pop()?.open()) ?? [];
      const { token, subs } = sent?.connect as { token: string; subs?: unknown };
      assert.equal(token, JWT);
      assert.deepEqual(subs, first ? { "#alice": { recover: true, ...since["#alice"] } } : undefined);
      flow.close();
    }
    messageflow.connect({ token: JWT }).close();
    assert.equal(fetched.length, 0);
  });

  test("says what is wrong with a position that is no JSON", () => {
    assert.throws(() => page("http://push.example/messageflow.js", undefined, { since: "{" }), /data-since/);
  });

  test("connects to where it came from and hands out what arrives", async () => {
    const { messageflow, peers } = page("http://push.example:8000/messageflow.js");
    const seen: unknown[] = [];
    const flow = messageflow.connect({
      token: JWT,
      on: { "report/ready": (payload, { channel, recovered }) => seen.push([payload, channel, recovered]) },
      channels: { news: (data) => seen.push(data) },
    });
    await settle();
    const peer = only(peers);
    assert.equal(peer.url, "ws://push.example:8000/connection/websocket");
    const [, subscribe] = await peer.accept({ subs: { "#alice": { recoverable: true, epoch: "e", offset: 1 } } });
    await peer.say({ id: subscribe?.id, subscribe: { epoch: "n", offset: 0 } });
    await peer.say(
      { push: { channel: "#alice", pub: { data: { type: "report/ready", payload: { id: 7 } }, offset: 2 } } },
      { push: { channel: "news", pub: { data: "extra", offset: 1 } } },
    );
    assert.equal(JSON.stringify(seen), JSON.stringify([[{ id: 7 }, "#alice", false], "extra"]));
    const count = flow.presenceStats("news");
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, presence_stats: { num_clients: 2, num_users: 1 } });
    assert.equal(JSON.stringify(await count), '{"clients":2,"users":1}');
    assert.deepEqual([flow.state, flow.user, flow.authenticated], ["connected", "alice", true]);
    flow.reconnect();
    await settle();
    const [connect] = (await peers[1]?.open()) ?? [];
    assert.deepEqual((connect?.["connect"] as { subs?: unknown }).subs, {
      "#alice": { recover: true, epoch: "e", offset: 2 },
    });
    flow.close();
  });

  test("keeps the path it came from, so that it finds a gateway behind a prefix", async () => {
    for (const [src, socket] of [
      ["https://shop.example/push/messageflow.js", "wss://shop.example/push/connection/websocket"],
      ["https://shop.example/a/b/messageflow.js?v=1/2#x/y", "wss://shop.example/a/b/connection/websocket"],
      ["http://push.example:8000/messageflow.js", "ws://push.example:8000/connection/websocket"],
      ["blob:https://shop.example/0-1-2", "wss://shop.example/connection/websocket"],
      ["data:text/javascript,0", "wss://shop.example/connection/websocket"],
    ] as const) {
      const { messageflow, peers } = page(src);
      const flow = messageflow.connect({ token: JWT });
      await settle();
      assert.equal(only(peers).url, socket);
      flow.close();
    }
  });

  test("fetches its token with the cookies of the page", async () => {
    const { messageflow, peers, fetched } = page("https://shop.example/messageflow.js");
    const flow = messageflow.connect({ tokenUrl: "/token" });
    await settle();
    assert.equal(only(peers).url, "wss://shop.example/connection/websocket");
    assert.equal(fetched[0]?.[0], "/token");
    const { credentials, cache, signal } = fetched[0]?.[1] ?? {};
    assert.deepEqual([credentials, cache, signal?.aborted], ["same-origin", "no-store", true]);
    flow.close();
  });

  test("wakes when the page is shown again", async () => {
    const { messageflow, peers, document } = page("https://shop.example/messageflow.js");
    const flow = messageflow.connect();
    await settle();
    await only(peers).accept();
    await only(peers).drop();
    document.visibilityState = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(peers.length, 1);
    document.visibilityState = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(peers.length, 2);
    flow.close();
  });

  for (const [leave, come] of [["pagehide", "pageshow"], ["freeze", "resume"]] as const) {
    test(`says goodbye on ${leave} and is back on ${come}`, async () => {
      const { messageflow, peers, document, window } = page("https://shop.example/messageflow.js");
      const target = leave === "freeze" ? document : window;
      const flow = messageflow.connect();
      await settle();
      await only(peers).accept();
      target.dispatchEvent(new Event(leave));
      assert.equal(peers[0]?.closed, true);
      target.dispatchEvent(new Event(come));
      await settle();
      assert.equal(peers.length, 2);
      flow.close();
      target.dispatchEvent(new Event(leave));
      target.dispatchEvent(new Event(come));
      assert.deepEqual([flow.state, peers.length], ["disconnected", 2]);
    });
  }

  test("wakes when the network is back", async () => {
    const { messageflow, peers, window } = page("https://shop.example/messageflow.js");
    const flow = messageflow.connect();
    await settle();
    await only(peers).accept();
    await only(peers).drop();
    window.dispatchEvent(new Event("online"));
    assert.equal(peers.length, 2);
    flow.close();
  });

  test("runs where there is neither document nor window nor location", async () => {
    const peers: Peer[] = [];
    const WebSocket = class extends Peer {
      constructor(url: string) {
        super(url);
        peers.push(this);
      }
    };
    const context = createContext({ WebSocket, URL, console, performance, setTimeout, clearTimeout, queueMicrotask });
    runInContext(SCRIPT, context);
    const { messageflow } = context as Page;
    assert.throws(() => messageflow.connect(), /no page to connect back to; give url/);
    const flow = messageflow.createSocket("ws://push.example", () => {}, { token: JWT });
    await settle();
    await only(peers).accept();
    assert.equal(flow.state, "connected");
    flow.close();
  });

  test("tells misuse in sentences", () => {
    const { messageflow } = page("https://shop.example/messageflow.js");
    assert.throws(() => messageflow.connect("ws://x" as never), /connect\(\) takes an object/);
    assert.throws(() => messageflow.createSocket("/websocket", undefined as never), /messageHandler must be a function/);
  });
});

describe("createSocket", () => {
  test("is the ancestors' call: token, page elements and every name an action ever had", async () => {
    const { messageflow, peers, fetched, document } = page("https://shop.example/messageflow.js");
    const elements = ["#connected", "#authenticated", "#websocketStatus"].map((selector) => document.add(selector));
    const seen: messageflow.LegacyAction[] = [];
    const flow = messageflow.createSocket("ws://shop.example/websocket", (message) => seen.push(message));
    assert.deepEqual(elements.slice(0, 2).map(({ textContent }) => textContent), ["Offline", "No"]);
    await settle();
    assert.equal(fetched[0]?.[0], "/socket_auth_token");
    const peer = only(peers);
    assert.equal(peer.url, "ws://shop.example/websocket");
    await peer.accept({ subs: { "#alice": {} } });
    assert.deepEqual(elements.slice(0, 2).map(({ textContent }) => textContent), ["Online", "Yes"]);
    assert.equal(elements[2]?.attributes.get("data-state"), "authenticated");
    await peer.say({ push: { channel: "#alice", pub: { data: { type: "DONE", payload: 3 } } } });
    const names = { type: "DONE", payload: 3, id: "DONE", data: 3, action: "DONE", actionType: "DONE" };
    assert.equal(JSON.stringify(seen), JSON.stringify([names]));
    flow.close();
    assert.equal(elements[2]?.style.backgroundColor, "red");
  });
});

describe("the package", () => {
  const read = (name: string): string => readFileSync(join(CLIENT_ROOT, name), "utf8");

  test("has one version", () => {
    const { version } = JSON.parse(read("package.json")) as { version: string };
    assert.match(read("src/version.ts"), new RegExp(`VERSION = "${version}"`));
  });

  test("pins what it is built with and depends on nothing", () => {
    const { dependencies, devDependencies } = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
    assert.equal(dependencies, undefined);
    for (const version of Object.values(devDependencies ?? {})) assert.match(version, /^\d+\.\d+\.\d+$/);
  });

  test("locks no download address", () => {
    assert.doesNotMatch(read("package-lock.json"), /https?:|"resolved"/);
  });
});
