/** A page that is put away and comes back. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { State } from "../src/state.js";
import { connected, JWT, settle, start } from "./world.js";

const SUBS = { subs: { "#alice": { epoch: "e", offset: 4 } } };

describe("a page that is put away", () => {
  test("says goodbye at once and leaves nothing running", async () => {
    const { flow, world, peer } = await connected({ getToken: () => JWT, channels: { news() {} } }, { expires: true, ttl: 60 });
    const states: [State, string][] = [];
    flow.onState((state, { reason }) => states.push([state, reason]));
    await world.depart();
    await world.depart(); // hidden first, then frozen
    assert.equal(peer.closed, true);
    assert.deepEqual(states, [["connecting", "the page is put away"]]);
    assert.equal(world.timers, 0);
    await world.pass(60_000);
    assert.equal(world.peers.length, 1);
  });

  test("goes on from its position as soon as it is back, with the token it has", async () => {
    const { world } = await connected({ getToken: () => JWT }, SUBS);
    await world.depart();
    await world.wake();
    const [connect] = await world.peer.accept(SUBS);
    assert.equal(world.peers.length, 2);
    const { token, subs } = connect?.["connect"] as { token: string; subs: unknown };
    assert.deepEqual([token, subs], [JWT, { "#alice": { recover: true, epoch: "e", offset: 4 } }]);
    await world.wake(); // resumed first, then shown
    assert.equal(world.peers.length, 2);
  });

  test("opens nothing meanwhile, whatever its handlers ask for", async () => {
    const { flow, world } = await connected({ onState: (state) => void (state === "connecting" && flow?.reconnect()) });
    await world.depart();
    flow.reconnect();
    flow.connect();
    await settle();
    assert.equal(world.peers.length, 1);
    await world.wake();
    assert.equal(world.peers.length, 2);
  });

  test("ends a wait, an attempt and the fetch of a token", async () => {
    const waiting = await connected();
    await waiting.peer.drop();
    await waiting.world.depart();
    assert.equal(waiting.world.timers, 0);

    const opening = start();
    await settle();
    await opening.world.depart();
    assert.equal(opening.world.peer.closed, true);

    let signal: AbortSignal | undefined;
    const fetching = start({ getToken: (request) => ((signal = request.signal), new Promise<string>(() => {})) });
    await settle();
    await fetching.world.depart();
    assert.equal(signal?.aborted, true);
    assert.equal(fetching.world.timers, 0);
    assert.equal(fetching.flow.state, "connecting");
  });

  test("may close for good, and connect once it is back", async () => {
    const { flow, world } = await connected();
    await world.depart();
    flow.close();
    assert.deepEqual([flow.state, world.lives.size], ["disconnected", 0]);
    flow.connect();
    await settle();
    await world.peer.accept();
    assert.equal(flow.state, "connected");
  });

  test("does not bring a flow back that had ended before", async () => {
    const { flow, world } = await connected();
    flow.close();
    await world.depart();
    await world.wake();
    assert.equal(world.peers.length, 1);
  });
});
