// The official client, centrifuge on npm, against a gateway: prints one JSON line a check and ends with how many.
// usage: node checks.mjs WEBSOCKET-URL HTTP-URL API-KEY TRANSPORT json|protobuf; tokens come in the environment.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { EventSource } from "eventsource";
import WebSocket from "ws";

const [websocket, http, key, transport, form] = process.argv.slice(2);
const binary = form === "protobuf";
const { Centrifuge } = await import(binary ? "centrifuge/build/protobuf" : "centrifuge");
const room = `open:${transport}-${form}`;
const pack = (data) => (binary ? new TextEncoder().encode(JSON.stringify(data)) : data);
const unpack = (data) => (binary ? JSON.parse(new TextDecoder().decode(data)) : data);
const url = transport === "websocket" ? websocket : [{ transport, endpoint: `${http}/connection/${transport}` }];
const parts = { websocket: WebSocket, eventsource: EventSource, emulationEndpoint: `${http}/emulation` };
const tokens = JSON.parse(process.env.TOKENS);

async function api(method, body) {
  const headers = { "X-API-Key": key, "Content-Type": "application/json" };
  const response = await fetch(`${http}/api/${method}`, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json();
  assert.ok(answer.result, JSON.stringify(answer));
  return answer.result;
}

// For one that has to be young, however long the checks before took.
function sign(claims) {
  const said = [{ alg: "HS256", typ: "JWT" }, claims].map((each) => Buffer.from(JSON.stringify(each)).toString("base64url"));
  return [...said, createHmac("sha256", tokens.secret).update(said.join(".")).digest("base64url")].join(".");
}

const once = (emitter, event, accept = () => true) =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event} within 10 s`)), 10_000);
    const listener = (context) => {
      if (!accept(context)) return;
      clearTimeout(late);
      emitter.off(event, listener);
      resolve(context);
    };
    emitter.on(event, listener);
  });

async function connected(token = tokens.alice, options = {}) {
  const client = new Centrifuge(url, { ...parts, token, minReconnectDelay: 50, ...options });
  const up = once(client, "connected");
  client.connect();
  await up;
  return client;
}

async function subscribed(client, channel, options) {
  const subscription = client.newSubscription(channel, options);
  const up = once(subscription, "subscribed");
  subscription.subscribe();
  await up;
  return subscription;
}

const checks = {
  async "a push arrives as a server-side publication"() {
    const client = await connected();
    const arrives = once(client, "publication", (context) => context.channel === "#alice");
    await api("push", { user: "alice", type: "report/ready", payload: { id: 7 } });
    assert.deepEqual(unpack((await arrives).data), { type: "report/ready", payload: { id: 7 } });
    client.disconnect();
  },
  async "subscribe, publish, history, presence and statistics"() {
    const client = await connected();
    const subscription = await subscribed(client, `${room}-js`);
    const arrives = once(subscription, "publication");
    await subscription.publish(pack({ n: 1 }));
    const publication = await arrives;
    assert.deepEqual([unpack(publication.data), publication.offset, publication.info.user], [{ n: 1 }, 1, "alice"]);
    const history = await subscription.history({ limit: 10 });
    assert.deepEqual(history.publications.map((each) => unpack(each.data)), [{ n: 1 }]);
    const presence = await subscription.presence();
    assert.deepEqual(Object.values(presence.clients).map((each) => each.user), ["alice"]);
    assert.deepEqual(await subscription.presenceStats(), { numClients: 1, numUsers: 1 });
    subscription.unsubscribe();
    while ((await api("presence_stats", { channel: `${room}-js` })).num_clients) await new Promise(setImmediate); // no reply tells
    client.disconnect();
  },
  async "what was published while away is recovered, in order"() {
    const client = await connected();
    const subscription = await subscribed(client, `${room}-js-away`);
    const seen = [];
    subscription.on("publication", (context) => seen.push(unpack(context.data)));
    const first = once(subscription, "publication");
    await api("publish", { channel: `${room}-js-away`, data: 0 });
    await first;
    const [away, back] = [once(client, "connecting"), once(subscription, "subscribed")]; // it may be back at once
    await api("disconnect", { user: "alice", disconnect: { code: 3011, reason: "force reconnect" } });
    await away;
    for (let n = 1; n < 5; n++) await api("publish", { channel: `${room}-js-away`, data: n });
    assert.equal((await back).recovered, true);
    if (seen.length < 5) await once(subscription, "publication", () => seen.length >= 5);
    assert.deepEqual(seen, [0, 1, 2, 3, 4]);
    client.disconnect();
  },
  async "what is not for it is passed over, and what follows is recovered"() {
    const client = await connected();
    const subscription = await subscribed(client, `${room}-excluded`);
    const [me] = Object.keys((await subscription.presence()).clients);
    const seen = [];
    const until = (length) => once(subscription, "publication", () => seen.length >= length);
    subscription.on("publication", (context) => seen.push(unpack(context.data)));
    const live = until(2);
    for (const [data, exclude] of [[1], [2, me], [3], [4, me]]) await api("publish", { channel: `${room}-excluded`, data, exclude });
    await live;
    const [away, back] = [once(client, "connecting"), once(subscription, "subscribed")];
    await api("disconnect", { user: "alice", disconnect: { code: 3011, reason: "force reconnect" } });
    await away;
    await api("publish", { channel: `${room}-excluded`, data: 5 });
    assert.equal((await back).recovered, true);
    if (seen.length < 4) await until(4);
    assert.deepEqual(seen, [1, 3, 4, 5]); // it cannot say that it was the one
    client.disconnect();
  },
  async "getState: changes of the application's own state that race it are counted once each"() {
    const [channel, rows, seen] = [`short:${transport}-${form}-state`, [], []];
    let [counted, asked] = [0, 0];
    const write = async (times) => { while (times--) await api("publish", { channel, data: rows.push(rows.length + 1) }); };
    const getState = async () => {
      const { offset, epoch } = await api("history", { channel, limit: 0 });
      await new Promise((resolve) => setTimeout(resolve, 20)); // the application reads, and changes go on
      [counted, asked] = [rows.length, asked + 1];
      return { offset, epoch };
    };
    const client = await connected();
    await write(3);
    const racing = write(30);
    const subscription = client.newSubscription(channel, { getState, minResubscribeDelay: 10, maxResubscribeDelay: 50 });
    subscription.on("publication", (context) => {
      const data = unpack(context.data);
      seen.push(data);
      if (data === counted + 1) counted++; // otherwise the state had it, or one is missing
    });
    const complete = async () => { while (counted < rows.length) await once(subscription, "publication"); };
    const again = (event) => once(subscription, event);
    const up = again("subscribed");
    subscription.subscribe();
    await Promise.all([up, racing]);
    await complete();
    assert.equal(asked, 1);
    const [away, back] = [again("subscribing"), again("subscribed")];
    await api("disconnect", { user: "alice", disconnect: { code: 3011, reason: "force reconnect" } });
    await away;
    await write(5);
    assert.equal((await back).recovered, true);
    await complete();
    assert.equal(asked, 1);
    client.disconnect();
    await write(60); // more than is kept: what the client has is of no use any more
    const anew = again("subscribed");
    client.connect();
    await Promise.all([anew, write(10)]);
    await complete();
    assert.deepEqual([asked, counted, new Set(seen).size], [2, rows.length, seen.length]);
    client.disconnect();
  },
  async "an expired token is fetched anew"() {
    let asked = 0;
    const getToken = async () => (asked++, tokens.alice);
    const client = await connected(tokens.expired, { getToken });
    assert.equal(asked, 1);
    client.disconnect();
  },
  async "a token is refreshed while connected"() {
    let asked = 0;
    const getToken = async () => (asked++, tokens.alice);
    const client = await connected(sign({ sub: "alice", exp: Math.floor(Date.now() / 1000) + 4 }), { getToken });
    await new Promise((resolve) => { const wait = setInterval(() => asked && (clearInterval(wait), resolve()), 50); });
    assert.equal(client.state, "connected");
    client.disconnect();
  },
  async "after a revocation a token is fetched anew and what was missed is recovered"() {
    let asked = 0;
    const getToken = async () => (asked++, tokens.since);
    const client = await connected(tokens.revoked, { getToken });
    const keeper = await connected(tokens.revoked);
    const seen = [];
    client.on("publication", (context) => seen.push(unpack(context.data).payload));
    const [away, ended] = [once(client, "connecting"), once(keeper, "disconnected")];
    await api("revoke", { user: "rita", before: tokens.before });
    assert.equal((await away).code, 3005);
    await api("push", { user: "rita", type: "n", payload: 1 });
    await once(client, "connected");
    assert.equal(asked, 1);
    if (!seen.length) await once(client, "publication");
    assert.deepEqual(seen, [1]);
    await ended; // it has nothing to fetch another with
    client.disconnect();
  },
  async "a bad token is final"() {
    const client = new Centrifuge(url, { ...parts, token: "nonsense" });
    const down = once(client, "disconnected");
    client.connect();
    assert.equal((await down).code, 3500);
  },
  async "what is not allowed is refused with its code"() {
    const client = await connected();
    await assert.rejects(client.rpc("method", pack({})), { code: 108 });
    const foreign = client.newSubscription("#bob");
    const refused = once(foreign, "unsubscribed");
    foreign.subscribe();
    assert.equal((await refused).code, 103);
    client.disconnect();
  },
  async "what changed is put together to what was published, live, recovered and behind"() {
    const document = (n) => ({ n, rows: Array.from({ length: 30 }, (_, id) => `row ${id * (1 + (n % 3))}`), text: "日本語 ".repeat(20) });
    const channel = `${room}-delta`;
    const publish = async (...numbers) => { for (const n of numbers) await api("publish", { channel, data: document(n) }); };
    const client = await connected();
    const subscription = await subscribed(client, channel, { delta: "fossil" });
    const plain = await subscribed(await connected(), channel);
    const [changed, whole] = [[], []];
    subscription.on("publication", (context) => changed.push(unpack(context.data)));
    plain.on("publication", (context) => whole.push(unpack(context.data)));
    await publish(1, 2, 3);
    const [away, back] = [once(client, "connecting"), once(subscription, "subscribed")];
    await api("disconnect", { user: "alice", disconnect: { code: 3011, reason: "force reconnect" } });
    await away;
    await publish(4, 5, 6);
    assert.equal((await back).recovered, true);
    await Promise.all(Array.from({ length: 40 }, (_, i) => publish(7 + i))); // several in a flush
    while (changed.length < 46 || whole.length < 46) await new Promise(setImmediate);
    assert.deepEqual(changed, whole);
    assert.deepEqual(changed, changed.map((each) => document(each.n)));
    client.disconnect();
  },
};

let passed = 0;
for (const [name, check] of Object.entries(checks)) {
  await check();
  passed++;
  console.log(JSON.stringify({ check: name }));
}
console.log(JSON.stringify({ passed }));
process.exit(0);
