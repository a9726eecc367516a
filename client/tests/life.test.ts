/** A page that is put away and comes back. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { State } from "../src/state.js";
import { connected, JWT, settle, start } from "./platform.js";

const SUBS = { subs: { "#alice": { epoch: "e", offset: 4 } } };

describe("a page that is put away", () => {
  test("says goodbye at once and leaves nothing running", async () => {
    const { flow, platform, peer } = await connected({ getToken: () => JWT, channels: { news() {} } }, { expires: true, ttl: 60 });
    const states: [State, string][] = [];
    flow.onState((state, { reason }) => states.push([state, reason]));
    await platform.depart();
    await platform.depart(); // hidden first, then frozen
    assert.equal(peer.closed, true);
    assert.deepEqual(states, [["connecting", "the page is put away"]]);
    assert.equal(platform.timers, 0);
    await platform.pass(60_000);
    assert.equal(platform.peers.length, 1);
  });

  test("goes on from its position as soon as it is back, with the token it has", async () => {
    const { platform } = await connected({ getToken: () => JWT }, SUBS);
    await platform.depart();
    await platform.wake();
    const [connect] = await platform.peer.accept(SUBS);
    assert.equal(platform.peers.length, 2);
    const { token, subs } = connect?.["connect"] as { token: string; subs: unknown };
    assert.deepEqual([token, subs], [JWT, { "#alice": { recover: true, epoch: "e", offset: 4 } }]);
    await platform.wake(); // resumed first, then shown
    assert.equal(platform.peers.length, 2);
  });

  test("opens nothing meanwhile, whatever its handlers ask for", async () => {
    const { flow, platform } = await connected({ onState: (state) => void (state === "connecting" && flow?.reconnect()) });
    await platform.depart();
    flow.reconnect();
    flow.connect();
    await settle();
    assert.equal(platform.peers.length, 1);
    await platform.wake();
    assert.equal(platform.peers.length, 2);
  });

  test("ends a wait, an attempt and the fetch of a token", async () => {
    const waiting = await connected();
    await waiting.peer.drop();
    await waiting.platform.depart();
    assert.equal(waiting.platform.timers, 0);

    const opening = start();
    await settle();
    await opening.platform.depart();
    assert.equal(opening.platform.peer.closed, true);

    let signal: AbortSignal | undefined;
    const fetching = start({ getToken: (request) => ((signal = request.signal), new Promise<string>(() => {})) });
    await settle();
    await fetching.platform.depart();
    assert.equal(signal?.aborted, true);
    assert.equal(fetching.platform.timers, 0);
    assert.equal(fetching.flow.state, "connecting");
  });

  test("may close for good, and connect once it is back", async () => {
    const { flow, platform } = await connected();
    await platform.depart();
    flow.close();
    assert.deepEqual([flow.state, platform.lives.size], ["disconnected", 0]);
    flow.connect();
    await settle();
    await platform.peer.accept();
    assert.equal(flow.state, "connected");
  });

  test("does not bring a flow back that had ended before", async () => {
    const { flow, platform } = await connected();
    flow.close();
    await platform.depart();
    await platform.wake();
    assert.equal(platform.peers.length, 1);
  });
});
