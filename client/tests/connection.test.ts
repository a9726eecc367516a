import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, JWT, settle, start } from "./platform.js";

test("the first frame holds connect and the subscriptions", async () => {
  const { platform, flow } = start({ token: JWT, channels: { news() {}, jobs: {} } });
  assert.equal(flow.state, "connecting");
  await settle();
  assert.equal(platform.peer.url, "ws://gateway.test/connection/websocket");
  const [connect, news, jobs] = await platform.peer.open();
  assert.equal(platform.peer.frames.length, 1);
  assert.deepEqual(connect, {
    id: 1,
    connect: { token: JWT, name: "messageflow-js", version: "0.1.0" },
  });
  assert.deepEqual(news, { id: 2, subscribe: { channel: "news", recoverable: true } });
  assert.deepEqual(jobs, { id: 3, subscribe: { channel: "jobs", recoverable: true } });
});

test("pushes reach onMessage and the handlers of their type, with their context", async () => {
  const seen: unknown[] = [];
  const { peer, flow } = await connected(
    {
      token: JWT,
      onMessage: (action, context) => seen.push(["all", action.type, context]),
      on: { "report/ready": (payload) => seen.push(["one", payload]) },
    },
    { subs: { "#alice": { recoverable: true, positioned: true, epoch: "e", offset: 4 }, "*": {} } },
  );
  assert.equal(flow.state, "connected");
  assert.equal(flow.authenticated, true);
  assert.equal(flow.user, "alice");
  await peer.say({
    push: { channel: "#alice", pub: { data: { type: "report/ready", payload: { id: 7 } }, offset: 5, tag: "ab" } },
  });
  assert.deepEqual(seen, [
    ["one", { id: 7 }],
    ["all", "report/ready", { channel: "#alice", offset: 5, epoch: "e", recovered: false }],
  ]);
});

test("who has a personal channel is somebody, be it without a token", async () => {
  const { flow } = await connected({}, { subs: { "#alice": {} } });
  assert.deepEqual([flow.authenticated, flow.user], [true, "alice"]);
});

test("what on_connect returned as data comes with the state, with each connection", async () => {
  const seen: unknown[] = [];
  const options = { onState: (state: string, { data }: { data?: unknown }) => seen.push([state, data]) };
  const { flow, platform, peer } = await connected(options, { data: { theme: "dark" } });
  assert.deepEqual(flow.detail.data, { theme: "dark" });
  await peer.drop(1006);
  assert.equal(flow.detail.data, undefined);
  await platform.pass(1000);
  await platform.peer.accept({});
  assert.equal(flow.state, "connected");
  assert.deepEqual(seen, [
    ["connecting", undefined],
    ["connected", { theme: "dark" }],
    ["connecting", undefined],
    ["connected", undefined],
  ]);
});

test("a command waits ten seconds unless it is told otherwise", async () => {
  const { flow, platform, peer } = await connected({}, { ping: 0 });
  const late = assert.rejects(flow.rpc("x"), { code: 1, message: /within 10000 ms/ });
  await platform.pass(10_000);
  await late;
  assert.equal(peer.closed, false);
});

test("a lost link is opened again and resumed by position", async () => {
  const seen: unknown[] = [];
  const { peer, platform, flow } = await connected(
    {
      onMessage: (action, { offset, recovered }) => seen.push([action.type, offset, recovered]),
      onRecovery: (recovery) => seen.push(recovery),
    },
    { subs: { "#alice": { epoch: "e", offset: 4, tag: "t4" } } },
  );
  await peer.say({ push: { channel: "#alice", pub: { data: { type: "a" }, offset: 5, tag: "t5" } } });
  await peer.drop();
  assert.equal(flow.state, "connecting");
  assert.equal(flow.detail.retryIn, 250);
  await platform.pass(250);
  assert.equal(platform.peers.length, 2);
  const [connect] = await platform.peer.open();
  assert.deepEqual((connect?.["connect"] as { subs: unknown }).subs, {
    "#alice": { recover: true, epoch: "e", offset: 5, tag: "t5" },
  });
  const publications = [
    { data: { type: "b" }, offset: 6, tag: "t6" },
    { data: { type: "c" }, offset: 7, tag: "t7" },
  ];
  await platform.peer.say(
    {
      id: connect?.id,
      connect: { client: "c2", subs: { "#alice": { epoch: "e", offset: 5, recovered: true, publications } } },
    },
    { push: { channel: "#alice", pub: { data: { type: "c" }, offset: 7 } } },
    { push: { channel: "#alice", pub: { data: { type: "d" }, offset: 8 } } },
  );
  assert.deepEqual(seen, [
    ["a", 5, false],
    { channel: "#alice", recovered: true },
    ["b", 6, true],
    ["c", 7, true],
    ["d", 8, false],
  ]);
});
