/** What both servers do: listen where they are told, and take texts over HTTP. */

import { createServer } from "node:http";

/** The Socket.IO room, and the event, as the other Socket.IO peer names them. */
export const GROUP = "everybody";
export const EVENT = "message";

/** An HTTP server, and what starts it on the port of the environment: each text posted to it is handed on. */
export function makeServer() {
  const server = createServer();
  return {
    server,
    start(publish) {
      server.on("request", (request, response) => {
        if (request.method !== "POST" || request.url !== "/publish") return; // Socket.IO has listeners of its own
        const parts = [];
        request.on("data", (part) => parts.push(part));
        request.on("end", () => {
          publish(Buffer.concat(parts).toString());
          response.writeHead(200, { "Content-Length": 0 }).end();
        });
      });
      server.listen({ host: "127.0.0.1", port: Number(process.env.BENCHMARK_PORT), backlog: 4096 });
    },
  };
}
