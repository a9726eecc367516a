/** The client in Node, over real sockets of `ws`. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type * as ws from "ws";
import { connect } from "../src/index.js";
import { JWT } from "./platform.js";

declare const CLIENT_ROOT: string;

const { WebSocket, WebSocketServer } = createRequire(join(CLIENT_ROOT, "package.json"))("ws") as typeof ws;

test("connects with the class of ws, hears pushes and repeats a publish over the next link", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const published: unknown[] = [];
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      for (const line of String(data).split("\n")) {
        const { id, connect: connecting, publish } = JSON.parse(line) as { id: number; connect?: object; publish?: object };
        if (connecting) socket.send(JSON.stringify({ id, connect: { client: "c", subs: { "#alice": {} } } }));
        if (!publish) continue;
        published.push(publish);
        if (published.length === 1) return socket.terminate();
        socket.send(JSON.stringify({ id, publish: {} }));
        socket.send(JSON.stringify({ push: { channel: "#alice", pub: { data: { type: "done", payload: 7 } } } }));
      }
    });
  });
  const { port } = server.address() as AddressInfo;
  const flow = connect({ url: `ws://127.0.0.1:${port}`, token: JWT, WebSocket });
  try {
    const done = new Promise((resolve) => flow.on("done", resolve));
    await flow.publish("news", 1);
    assert.equal(await done, 7);
    assert.equal(published.length, 2);
    assert.deepEqual(published[1], published[0]);
  } finally {
    flow.close();
    server.close();
  }
});
