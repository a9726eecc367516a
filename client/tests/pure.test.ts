import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { backoff, slowBackoff } from "../src/backoff.js";
import { invalidatesState, isTerminalClose, isTerminalUnsubscribe, MessageflowError, replyError } from "../src/codes.js";
import { Track, type Verdict } from "../src/position.js";
import { decodeFrame, encodeCommand, isPing, type SubscribeResult, type WirePublication } from "../src/protocol.js";
import { refreshDelay } from "../src/refresher.js";
import { judgeFailure } from "../src/subscription-failure.js";
import { readToken } from "../src/token.js";
import { socketUrl } from "../src/url.js";
import { JWT } from "./platform.js";

declare const CLIENT_ROOT: string;

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(join(CLIENT_ROOT, "..", "tests", "vectors", `${name}.json`), "utf8")) as T;
}

describe("codes", () => {
  interface Codes {
    close: { code: number; terminal: boolean }[];
    unsubscribe: { code: number; terminal: boolean }[];
    invalidates: { code: number; state: boolean }[];
  }
  const codes = vectors<Codes>("codes");

  test("close codes forbid a reconnect as the vectors say", () => {
    for (const { code, terminal } of codes.close) assert.equal(isTerminalClose(code), terminal, String(code));
  });

  test("unsubscribe codes are final as the vectors say", () => {
    for (const { code, terminal } of codes.unsubscribe) assert.equal(isTerminalUnsubscribe(code), terminal, String(code));
  });

  test("codes invalidate state as the vectors say", () => {
    for (const { code, state } of codes.invalidates) assert.equal(invalidatesState(code), state, String(code));
  });

  test("an error reply is temporary when it says so, or by a code below 100", () => {
    assert.equal(replyError({ code: 100, message: "internal", temporary: true }).temporary, true);
    assert.equal(replyError({ code: 103, message: "no" }).temporary, false);
    assert.equal(replyError({ code: 99 }).temporary, true);
    assert.equal(replyError({ code: 103 }).message, "error 103");
  });
});

describe("protocol", () => {
  interface Frames {
    good: { frame: string; messages: object[] }[];
    bad: string[];
  }
  const frames = vectors<Frames>("frames");

  test("good frames come apart as the vectors say", () => {
    for (const { frame, messages } of frames.good) assert.deepEqual(decodeFrame(frame), messages, frame);
  });

  test("bad frames throw", () => {
    for (const frame of frames.bad) assert.throws(() => decodeFrame(frame), Error, frame);
  });

  test("a command is one line, whatever is in it", () => {
    const line = encodeCommand(3, "publish", { channel: "a", data: "x\ny", missing: undefined });
    assert.equal(line, '{"id":3,"publish":{"channel":"a","data":"x\\ny"}}');
  });

  test("only an empty object is a ping", () => {
    assert.equal(isPing({}), true);
    assert.equal(isPing({ id: 1 }), false);
    assert.equal(isPing({ push: {} }), false);
  });
});

describe("position", () => {
  type Step = { begin?: SubscribeResult; recovered?: boolean | null; accept?: WirePublication; verdict?: Verdict };
  const { cases } = vectors<{ cases: { name: string; steps: Step[]; resume: object }[] }>("positions");
  for (const { name, steps, resume } of cases) {
    test(name, () => {
      const track = new Track();
      for (const step of steps) {
        if (step.begin) assert.equal(track.begin(step.begin) ?? null, step.recovered);
        if (step.accept) assert.equal(track.accept(step.accept), step.verdict);
      }
      assert.deepEqual(track.resume(), resume);
    });
  }

  test("a dropped position resumes nothing", () => {
    const track = new Track();
    track.begin({ epoch: "e", offset: 4 });
    track.drop();
    assert.deepEqual(track.resume(), {});
    assert.equal(track.begin({ epoch: "e", offset: 9 }), false);
  });
});

describe("backoff", () => {
  test("it doubles from the base to the cap and never passes it", () => {
    const longest = [0, 1, 2, 3, 4, 5, 6, 7, 2000].map((attempt) => backoff(attempt, 1));
    assert.deepEqual(longest, [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000, 20_000]);
  });

  test("it waits as the vectors say, by which storms are simulated", () => {
    const waits = vectors<{ attempt: number; random: number; ms: number }[]>("backoff");
    for (const { attempt, random, ms } of waits) assert.equal(backoff(attempt, random), ms, `${attempt} ${random}`);
  });

  test("the jitter is full", () => {
    assert.equal(backoff(3, 0), 0);
    assert.equal(backoff(3, 0.25), 1000);
  });

  test("a slow one begins at ten seconds and ends at a minute", () => {
    assert.deepEqual([0, 1, 2, 3, 9].map((attempt) => slowBackoff(attempt, 0)), [10_000, 10_000, 10_000, 10_000, 10_000]);
    assert.deepEqual([0, 1, 2, 3, 9].map((attempt) => slowBackoff(attempt, 1)), [20_000, 30_000, 50_000, 60_000, 60_000]);
  });

  test("a refresh comes before the end, spread over a tenth of the life", () => {
    assert.equal(refreshDelay(100, 0), 75_000);
    assert.equal(refreshDelay(100, 1), 85_000);
    assert.equal(refreshDelay(-5, 0.5), 0);
  });
});

describe("token reading", () => {
  test("the forms a token endpoint answers in", () => {
    for (const text of [JWT, ` ${JWT}\n`, `"${JWT}"`, `{"token":"${JWT}"}`, `{"status":"success","data":{"token":"${JWT}"}}`]) {
      assert.equal(readToken(text), JWT, text);
    }
  });

  test("anything else holds no token", () => {
    for (const text of ["", "null", "{}", "[]", "7", "<html>a.b.c</html>", '{"token":7}', '{"data":null}', "a.b"]) {
      assert.equal(readToken(text), undefined, text);
    }
  });
});

describe("addresses", () => {
  const page = "https://shop.example/orders/7?x=1#top";
  const good: [string, string | undefined, string][] = [
    ["ws://a.example/x", undefined, "ws://a.example/x"],
    ["http://a.example", undefined, "ws://a.example/connection/websocket"],
    ["https://a.example:8443/", undefined, "wss://a.example:8443/connection/websocket"],
    ["wss://a.example/push/ws?node=2#part", undefined, "wss://a.example/push/ws?node=2"],
    ["wss://a.example", undefined, "wss://a.example/connection/websocket"],
    ["https://a.example/push", undefined, "wss://a.example/push/connection/websocket"],
    ["https://a.example/push/", undefined, "wss://a.example/push/connection/websocket"],
    ["http://a.example/a/b//?node=2", undefined, "ws://a.example/a/b/connection/websocket?node=2"],
    ["https://a.example/push/connection/websocket", undefined, "wss://a.example/push/connection/websocket"],
    ["/connection/websocket", page, "wss://shop.example/connection/websocket"],
    ["/push", page, "wss://shop.example/push/connection/websocket"],
    ["live", page, "wss://shop.example/orders/live/connection/websocket"],
    ["//b.example", page, "wss://b.example/connection/websocket"],
  ];
  for (const [url, base, socket] of good) test(`${url} is ${socket}`, () => assert.equal(socketUrl(url, base), socket));

  for (const { url, websocket } of vectors<{ url: string; websocket: string }[]>("addresses")) {
    test(`${url} is what it is to the publisher and the command line`, () => assert.equal(socketUrl(url, page), websocket));
  }

  test("what is no address is refused with a sentence", () => {
    assert.throws(() => socketUrl("nonsense", undefined), /no address; give the gateway's/);
    assert.throws(() => socketUrl("ftp://a.example", undefined), /must begin with ws:/);
  });

  test("a token in a URL is refused", () => {
    assert.throws(() => socketUrl("wss://a.example/?token=x", undefined), /must not stand in a URL/);
    assert.throws(() => socketUrl("wss://a.example/?access_token=x", undefined), /must not stand in a URL/);
  });
});

describe("a subscription whose request failed", () => {
  const request = { serverSide: false, renewed: false, isNew: false, renewable: true };
  const cases: [string, number, boolean, Partial<typeof request>, string][] = [
    ["the link was lost", 2, true, {}, "none"],
    ["the server subscribed us meanwhile", 105, false, { serverSide: true }, "none"],
    ["the server says so wrongly", 105, false, {}, "end"],
    ["no reply", 1, true, {}, "reset"],
    ["an old token expired", 109, false, {}, "again"],
    ["a new token is expired", 109, false, { isNew: true }, "later"],
    ["a given token expired", 109, false, { renewable: false }, "end"],
    ["refused, with another token at hand", 103, false, { renewed: true }, "again"],
    ["refused", 103, false, {}, "end"],
    ["too many requests", 111, true, {}, "later"],
  ];
  for (const [name, code, temporary, differs, consequence] of cases) {
    test(`${name}: ${consequence}`, () => {
      assert.equal(judgeFailure(new MessageflowError(code, "", temporary), { ...request, ...differs }), consequence);
    });
  }
});
