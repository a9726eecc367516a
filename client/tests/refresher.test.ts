/** Renewing a right: what is stopped stays stopped, and what fails is tried again in its own time. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageflowError } from "../src/codes.js";
import { browserPlatform } from "../src/platform.js";
import { Timer } from "../src/timer.js";
import { connected, JWT, type Peer, settle, type TestPlatform } from "./platform.js";

interface Renewing {
  platform: TestPlatform;
  peer: Peer;
  errors: MessageflowError[];
  /** Answer the request for a token under way. */
  answer(token: string): void;
}

/** A connection whose token is asked for anew after eight seconds, and asked for until it is answered. */
async function renewing(): Promise<Renewing> {
  const errors: MessageflowError[] = [];
  const answers: ((token: string) => void)[] = [];
  let asked = 0;
  const getToken = (): string | Promise<string> => (asked++ ? new Promise((resolve) => answers.push(resolve)) : JWT);
  const options = { getToken, onError: (error: MessageflowError) => void errors.push(error) };
  const { platform, peer } = await connected(options, { expires: true, ttl: 10, ping: 0 });
  return { platform, peer, errors, answer: (token) => answers.at(-1)?.(token) };
}

function refreshes(peer: Peer): { id: number }[] {
  return peer.commands().filter((command) => "refresh" in command) as { id: number }[];
}

describe("a refresh", () => {
  test("that is stopped by the end of its link is no failure and plans nothing", async () => {
    const { platform, peer, errors } = await renewing();
    await platform.pass(8000);
    await peer.drop();
    assert.deepEqual(errors, []);
    assert.equal(platform.timers, 1, "that of the next attempt to connect");
  });

  test("whose token comes as the link goes sends nothing over the next one", async () => {
    for (let steps = 0; steps < 10; steps++) {
      const { platform, peer, answer } = await renewing();
      await platform.pass(8000);
      answer(JWT);
      for (let step = 0; step < steps; step++) await Promise.resolve();
      if (refreshes(peer).length) return;
      await peer.drop();
      await platform.pass(250);
      answer(JWT);
      await settle();
      await platform.peer.accept();
      assert.deepEqual(refreshes(platform.peer), []);
    }
  });

  test("overtaken by the server's word about the right does not count, whatever becomes of it", async () => {
    const { platform, peer, errors, answer } = await renewing();
    await platform.pass(8000);
    answer(JWT);
    await settle();
    const [refresh] = refreshes(peer);
    await peer.say({ push: { refresh: { expires: true, ttl: 100 } } }, { id: refresh?.id, error: { code: 100 } });
    assert.deepEqual(errors, []);
    assert.equal(platform.timers, 1);
  });

  for (const code of [100, 109]) {
    test(`refused with ${code} is tried again, and the waits begin anew once it was taken`, async () => {
      const { platform, peer, errors, answer } = await renewing();
      const retried = async (ms: number, error?: object): Promise<void> => {
        await platform.pass(ms - 1);
        assert.deepEqual(refreshes(peer), []);
        await platform.pass(1);
        answer(JWT);
        await settle();
        const [refresh] = refreshes(peer);
        assert.ok(refresh);
        await peer.say({ id: refresh.id, ...(error ? { error } : { refresh: { expires: true, ttl: 10 } }) });
      };
      const error = { code, message: "no", temporary: code === 100 };
      platform.chance = 0;
      await retried(8000, error);
      platform.chance = 0.5;
      await retried(1000, error); // never at once
      await retried(3000);
      await retried(8000, error);
      await retried(2000);
      assert.deepEqual(errors.map((each) => each.code), [code, code, code]);
    });
  }
});

describe("a subscription's token", () => {
  test("is not kept over 3014", async () => {
    let made = 0;
    const { platform, peer } = await connected({ channels: { news: { getToken: () => `h.${++made}.s` } } });
    await settle();
    await peer.drop(3014, "state invalidated");
    await platform.pass(250);
    await platform.peer.accept();
    await settle();
    assert.deepEqual(platform.peer.frames.join("\n").match(/h\.\d\.s/g), ["h.2.s"]);
  });
});

describe("time", () => {
  test("is that of a clock nobody sets", () => {
    const real = Date.now;
    Date.now = () => Number.NaN;
    try {
      assert.ok(browserPlatform().now() > 0);
    } finally {
      Date.now = real;
    }
  });

  test("a timer holds no more than browsers do, and is not set any more once it has rung", async () => {
    const { platform } = await connected({}, { ping: 0 });
    const timer = new Timer(platform);
    let rung = 0;
    timer.set(() => rung++, 2 ** 40);
    await platform.pass(2 ** 31 - 2);
    assert.deepEqual([rung, timer.isSet], [0, true]);
    await platform.pass(1);
    assert.deepEqual([rung, timer.isSet], [1, false]);
  });
});
