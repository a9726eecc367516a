import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { Emitter } from "../src/emitter.js";
import { MessageflowError } from "../src/codes.js";
import { connected, JWT, settle, start, TestPlatform } from "./platform.js";

const GIVEN = { subs: { "#alice": {}, "*": {} } };

function push(data: unknown, channel = "#alice"): object {
  return { push: { channel, pub: { data } } };
}

/** Things that can be thrown, and hurt whoever looks at them. */
function awkward(): [what: string, thrown: unknown][] {
  const never = (): never => {
    throw new Error("looked at");
  };
  const guarded = new Error("quiet");
  Object.defineProperty(guarded, "message", { get: never });
  const traps = { get: never, getPrototypeOf: never, has: never, ownKeys: never, getOwnPropertyDescriptor: never };
  return [
    ["an object without a toString", Object.create(null)],
    ["an object whose toString throws", { toString: never }],
    ["an error whose message throws", guarded],
    ["a proxy that throws at every look", new Proxy({}, traps)],
    ["a proxy of an error of this client", new Proxy(new MessageflowError(4, "x"), traps)],
    ["a symbol", Symbol("s")],
    ["null", null],
    ["undefined", undefined],
  ];
}

describe("handlers", () => {
  test("one that throws, or whose promise rejects, harms no other and is reported", async () => {
    const seen: unknown[] = [];
    const errors: MessageflowError[] = [];
    const { flow, peer } = await connected({ onError: (error) => errors.push(error) }, GIVEN);
    flow.on("a", () => {
      throw new Error("first");
    });
    flow.on("a", async () => {
      throw new Error("second");
    });
    flow.on("a", (payload) => seen.push(payload));
    await peer.say(push({ type: "a", payload: 1 }), push({ type: "a", payload: 2 }));
    assert.deepEqual(seen, [1, 2]);
    assert.deepEqual(errors.map(({ message }) => message).sort(), [
      "A handler failed: Error: first",
      "A handler failed: Error: first",
      "A handler failed: Error: second",
      "A handler failed: Error: second",
    ]);
    assert.equal(flow.state, "connected");
  });

  for (const [what, thrown] of awkward()) {
    test(`one that throws ${what} fails alone, at once, later and in onError`, async () => {
      const seen: unknown[] = [];
      const errors: MessageflowError[] = [];
      const throwing = (): never => {
        throw thrown;
      };
      const { flow, peer, platform } = await connected({}, GIVEN);
      const complaints = mock.method(console, "error", () => {
        throw new Error("a console that was replaced");
      });
      try {
        flow.on("a", throwing);
        flow.on("a", async () => throwing());
        flow.on("a", () => ({ then: (_: unknown, fail: (reason: unknown) => void) => fail(thrown) }));
        flow.on("a", (payload) => seen.push(payload));
        flow.onMessage(throwing);
        await peer.say(push({ type: "a", payload: 1 }), push({ type: "a", payload: 2 }));
        assert.equal(complaints.mock.callCount(), 8, "nobody but the console is there to be told");
        const off = flow.onError(throwing);
        flow.onError(async () => throwing());
        flow.onError((error) => errors.push(error));
        await peer.say(push({ type: "a", payload: 3 }), push({ type: "a", payload: 4 }));
        off();
      } finally {
        complaints.mock.restore();
      }
      assert.deepEqual(seen, [1, 2, 3, 4]);
      assert.equal(errors.length, 8);
      for (const error of errors) {
        assert.equal(error.code, 9);
        assert.match(error.message, /^A handler failed: ./);
        assert.ok(Object.is(error.cause, thrown));
      }
      assert.equal(flow.state, "connected");
      assert.equal(platform.peers.length, 1, "the link is no part of it");
    });

    test(`getToken that throws ${what} is tried again like any other failure`, async () => {
      const errors: MessageflowError[] = [];
      let calls = 0;
      const getToken = (): string => {
        if (!calls++) throw thrown;
        return JWT;
      };
      const { flow, platform } = start({ getToken, onError: (error) => errors.push(error) });
      await settle();
      assert.deepEqual(errors.map(({ code, temporary }) => [code, temporary]), [[6, true]]);
      await platform.pass(250);
      await platform.peer.accept();
      assert.equal(flow.state, "connected");
    });
  }

  test("a socket class that throws what cannot be shown ends the flow with a reason", async () => {
    const platform = new TestPlatform();
    platform.openSocket = () => {
      throw Object.create(null);
    };
    const { flow } = start({}, platform);
    await settle();
    assert.deepEqual(flow.detail, { code: 4, reason: "something that cannot be shown was thrown" });
  });

  test("an error of this client that a handler throws is reported as it is", async () => {
    const errors: MessageflowError[] = [];
    const { flow, peer } = await connected({ onError: (error) => errors.push(error) }, GIVEN);
    flow.on("a", () => flow.publish("", 1));
    flow.on("a", () => {
      throw new MessageflowError(103, "permission denied");
    });
    await peer.say(push({ type: "a" }));
    assert.deepEqual(errors.map(({ code }) => code), [103, 9]);
  });

  test("a console that fails is not taken for what was pushed", async () => {
    const debug = mock.method(console, "debug", () => {
      throw new Error("a console that was replaced");
    });
    try {
      const { flow, platform, peer } = await connected({}, GIVEN);
      await peer.say(push({ type: "nobody/handles" }));
      assert.deepEqual([flow.state, platform.peers.length, debug.mock.callCount()], ["connected", 1, 1]);
      flow.close();
    } finally {
      debug.mock.restore();
    }
  });

  test("without onError what fails is written to the console", async () => {
    const { flow, peer } = await connected({}, GIVEN);
    flow.on("a", () => {
      throw new Error("boom");
    });
    const error = mock.method(console, "error", () => {});
    try {
      await peer.say(push({ type: "a" }));
      assert.equal(error.mock.callCount(), 1);
    } finally {
      error.mock.restore();
    }
  });

  test("are taken back one by one, also while being called", async () => {
    const seen: string[] = [];
    const { flow, peer } = await connected({ onUnknown() {} }, GIVEN);
    const twice = (): void => void seen.push("twice");
    const off = flow.on("a", twice);
    flow.on("a", twice);
    const once = flow.on("a", () => {
      seen.push("once");
      once();
    });
    await peer.say(push({ type: "a" }));
    off();
    off();
    await peer.say(push({ type: "a" }));
    assert.deepEqual(seen, ["twice", "twice", "once", "twice"]);
  });

  test("broadcasts arrive like pushes to the user", async () => {
    const seen: unknown[] = [];
    const { peer } = await connected({ on: { note: (payload, { channel }) => seen.push([payload, channel]) } }, GIVEN);
    await peer.say(push({ type: "note", payload: 1 }, "*"), push({ type: "note", payload: 2 }));
    assert.deepEqual(seen, [[1, "*"], [2, "#alice"]]);
  });

  test("a message of the server outside all channels is routed by its type", async () => {
    const seen: unknown[] = [];
    const { peer } = await connected({ on: { note: (payload) => seen.push(payload) } });
    await peer.say({ push: { message: { data: { type: "note", payload: 3 } } } });
    assert.deepEqual(seen, [3]);
  });
});

describe("what nobody handles", () => {
  test("goes to onUnknown", async () => {
    const seen: unknown[] = [];
    const { peer } = await connected({ on: { known() {} }, onUnknown: (data) => seen.push(data) }, GIVEN);
    await peer.say(push({ type: "known" }), push({ type: "other" }), push("text"), push(null));
    assert.deepEqual(seen, [{ type: "other" }, "text", null]);
  });

  test("is named in the console once a type", async () => {
    const { peer } = await connected({}, GIVEN);
    const debug = mock.method(console, "debug", () => {});
    try {
      await peer.say(push({ type: "a" }), push({ type: "a" }), push({ type: "b" }));
      assert.equal(debug.mock.callCount(), 2);
      assert.match(String(debug.mock.calls[0]?.arguments[0]), /nobody handles "a" from #alice/);
    } finally {
      debug.mock.restore();
    }
  });
});

test("no more than fifty types are named in the console", async () => {
  const { peer } = await connected({}, GIVEN);
  const debug = mock.method(console, "debug", () => {});
  try {
    await peer.say(...Array.from({ length: 60 }, (_, n) => push({ type: `type ${n}` })));
    assert.equal(debug.mock.callCount(), 50);
  } finally {
    debug.mock.restore();
  }
});

describe("hostile names", () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    test(`${name} is a type, a channel and a key like any other`, async () => {
      const seen: unknown[] = [];
      const { flow, peer, platform } = await connected({ onUnknown: (data) => seen.push(data) });
      flow.subscribe(name, (data) => seen.push(data));
      await settle();
      const [subscribe] = peer.commands();
      await peer.raw(
        [
          `{"id":${subscribe?.id},"subscribe":{"epoch":"e","offset":0}}`,
          `{"push":{"channel":"${name}","pub":{"data":{"${name}":{"polluted":1}},"offset":1}}}`,
          `{"push":{"channel":"#${name}","subscribe":{"epoch":"e","offset":0}}}`,
          `{"push":{"channel":"#${name}","pub":{"data":{"type":"${name}"},"offset":1}}}`,
        ].join("\n"),
      );
      assert.deepEqual(seen, [JSON.parse(`{"${name}":{"polluted":1}}`), { type: name }]);
      await peer.drop();
      await platform.pass(250);
      await platform.peer.open();
      assert.ok(platform.peer.frames[0]?.includes(`"#${name}":{"recover":true,"epoch":"e","offset":1}`));
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    });
  }

  test("__proto__ given by the server as a key of subs is resumed as a name", async () => {
    const { peer, platform, flow } = await connected({ onUnknown() {} });
    await peer.drop();
    await platform.pass(250);
    const [connect] = await platform.peer.open();
    await platform.peer.raw(`{"id":${connect?.id},"connect":{"client":"c","subs":{"__proto__":{"epoch":"e","offset":3}}}}`);
    flow.reconnect();
    await settle();
    await platform.peer.open();
    assert.ok(platform.peer.frames[0]?.includes('"subs":{"__proto__":{"recover":true,"epoch":"e","offset":3}}'));
  });
});

test("an emitter calls those who listened when it began", () => {
  const seen: string[] = [];
  const emitter = new Emitter<[]>((error) => assert.fail(String(error)));
  emitter.on(() => {
    seen.push("old");
    emitter.on(() => seen.push("new"));
  });
  emitter.emit();
  assert.deepEqual(seen, ["old"]);
});

test("an emitter under way does not call those who were taken back meanwhile, and calls all others", () => {
  const seen: string[] = [];
  const emitter = new Emitter<[]>((error) => assert.fail(String(error)));
  emitter.on(() => {
    seen.push("first");
    off();
  });
  const off = emitter.on(() => seen.push("second"));
  emitter.on(() => seen.push("third"));
  emitter.emit();
  assert.deepEqual(seen, ["first", "third"]);
  assert.equal(emitter.size, 2);
});
