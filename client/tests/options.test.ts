/** Every option that the documentation names does something, and what nothing would read is refused. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Options } from "../src/options.js";
import { connect } from "../src/index.js";
import type { SubscriptionOptions } from "../src/subscription.js";
import { connected, JWT, Peer, settle, start, TestPlatform } from "./platform.js";

declare const CLIENT_ROOT: string;

const PAGE = readFileSync(join(CLIENT_ROOT, "../docs/browser-client.md"), "utf8");

function names(text: string): string[] {
  return [...text.matchAll(/`(\w+)[^`]*`/g)].map(([, name]) => name ?? "");
}

/** Returns how to note a call, and the calls noted. */
function noted(): { calls: unknown[][]; note: (...args: unknown[]) => void } {
  const calls: unknown[][] = [];
  return { calls, note: (...args) => calls.push(args) };
}

const INFO = { user: "bob", client: "c2" };

async function pushed(options: Options): Promise<void> {
  const { peer } = await connected(options, { subs: { "#a": { epoch: "e", offset: 1 } } });
  await peer.say({ push: { channel: "#a", pub: { data: { type: "t", payload: 7 }, offset: 2 } } });
}

/** What shows that an option of `connect()` is read. */
const FLOW: Record<string, () => Promise<unknown>> = {
  async url() {
    const { platform } = start({ url: "wss://other.test/x" });
    await settle();
    return platform.peer.url === "wss://other.test/x";
  },
  async token() {
    return (await connected({ token: JWT })).commands[0]?.["connect"];
  },
  async tokenUrl() {
    const { platform } = start({ tokenUrl: "/token", onError() {} });
    await settle();
    return platform.fetched.length;
  },
  async getToken() {
    const { calls, note } = noted();
    start({ getToken: () => (note(), JWT) });
    await settle();
    return calls.length;
  },
  async onMessage() {
    const { calls, note } = noted();
    await pushed({ onMessage: note });
    return calls.length;
  },
  async on() {
    const { calls, note } = noted();
    await pushed({ on: { t: note } });
    return calls.length;
  },
  async onUnknown() {
    const { calls, note } = noted();
    await pushed({ onUnknown: note });
    return calls.length;
  },
  async channels() {
    return (await connected({ channels: { news() {} } })).commands[1]?.["subscribe"];
  },
  async onState() {
    const { calls, note } = noted();
    await connected({ onState: note });
    return calls.length === 2;
  },
  async onRecovery() {
    const { calls, note } = noted();
    const { peer, platform } = await connected({ onRecovery: note }, { subs: { "#a": { epoch: "e" } } });
    await peer.drop();
    await platform.pass(250);
    await platform.peer.accept({ subs: { "#a": { epoch: "e", recovered: true } } });
    return calls.length;
  },
  async onError() {
    const { calls, note } = noted();
    await pushed({ onError: note, onMessage: () => assert.fail("as planned") });
    return calls.length;
  },
  async connectTimeout() {
    const { platform } = start({ connectTimeout: 7 });
    await settle();
    await platform.pass(7);
    return platform.peer.closed;
  },
  async commandTimeout() {
    const { flow, platform } = await connected({ commandTimeout: 7 });
    const call = assert.rejects(flow.rpc("x"), /within 7 ms/);
    await platform.pass(7);
    await call;
    return true;
  },
  async since() {
    const { commands } = await connected({ since: { "#alice": { epoch: "e", offset: 1 } } });
    return JSON.stringify(commands[0]?.["connect"]).includes('"offset":1');
  },
  async WebSocket() {
    const made: string[] = [];
    class Own extends Peer {
      constructor(url: string) {
        super(url);
        made.push(url);
      }
    }
    const flow = connect({ url: "ws://gateway.test/x", WebSocket: Own });
    await settle();
    flow.close();
    return made.length;
  },
};

/** Subscribe with an option, and let something happen. */
async function subscribed(options: SubscriptionOptions): Promise<{ platform: TestPlatform; command: unknown }> {
  const { peer, platform, commands } = await connected({ channels: { news: options } });
  await peer.say({ id: commands[1]?.id, subscribe: { epoch: "e", offset: 1 } });
  const asked = peer.commands().find((command) => "presence_stats" in command);
  await peer.say(
    { id: asked?.id ?? 99, presence_stats: { num_clients: 1, num_users: 1 } },
    { push: { channel: "news", pub: { data: 1, offset: 3 } } }, // one is missing, which is told
    { push: { channel: "news", join: { info: INFO } } },
    { push: { channel: "news", leave: { info: INFO } } },
  );
  await peer.drop();
  await platform.pass(250);
  const [, again] = await platform.peer.accept();
  await platform.peer.say({ id: again?.id, error: { code: 103, message: "permission denied" } });
  return { platform, command: commands[1]?.["subscribe"] };
}

describe("an option of connect()", () => {
  const table = PAGE.split("\n## Options\n")[1]?.split("\n## ")[0] ?? "";
  const documented = table.split("\n").flatMap((line) => names(line.match(/^\| (`.+?) \|/)?.[1] ?? ""));
  assert.ok(documented.length > 10);
  for (const name of new Set([...documented, ...Object.keys(FLOW)])) {
    test(`${name} does something and is documented`, async () => {
      assert.ok(documented.includes(name));
      assert.ok(await FLOW[name]?.());
    });
  }
});

describe("an option of subscribe()", () => {
  const documented = names(PAGE.match(/ Options: (.*)$/m)?.[1] ?? "");
  assert.ok(documented.length > 6);
  for (const name of documented) {
    test(`${name} does something`, async () => {
      const { calls, note } = noted();
      const token = name === "token";
      const { command } = await subscribed({ onError() {}, [name]: token ? JWT : (...args: unknown[]) => (note(...args), JWT) });
      assert.ok(token ? (command as { token?: string }).token === JWT : calls.length);
    });
  }
});

describe("what nothing reads", () => {
  for (const option of ["data", "meta"]) {
    test(`${option} is refused with what to do instead`, async () => {
      const { flow } = await connected();
      const refusal = { name: "TypeError", message: new RegExp(`Nothing would read "${option}".*use HTTP`) };
      assert.throws(() => start({ [option]: { page: 1 } }), refusal);
      assert.throws(() => flow.subscribe("news", { [option]: 1 }), refusal);
    });
  }
});
