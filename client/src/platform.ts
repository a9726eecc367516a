/**
 * Everything the client takes from its surroundings: clock, chance, timers, sockets, HTTP, and whether the page is there.
 *
 * Owns the only references to globals, so that a test hands in a platform of its own.
 */

/** The part of a WebSocket this client uses. */
export interface Socket {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(text: string): void;
  close(): void;
}

/**
 * A WebSocket class as `connect({WebSocket})` takes it: the browser's, that of `ws`, or one like them. What its handlers
 * are called with is asked of no class: their types differ, and what is used of them does not.
 */
export type SocketClass = new (url: string) => Pick<Socket, "readyState" | "send" | "close"> & {
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
};

/** What befalls a page. */
export interface Life {
  /** The network or the page may have come back. */
  wake(): void;
  /** The page is put away: left, kept for the back button, or frozen. It may never come back, and nobody will be told. */
  depart(): void;
}

/** The part of an HTTP response this client uses. */
export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly redirected?: boolean;
  text(): Promise<string>;
}

/** The same whose body is read while it comes. */
export interface StreamAnswer {
  readonly ok: boolean;
  readonly status: number;
  readonly body: ReadableStream<Uint8Array> | null;
}

export interface Platform {
  /** Milliseconds on a clock that nobody sets. It may stand still while the machine sleeps. */
  now(): number;
  /** Milliseconds on a clock that people set, and that goes on while the machine sleeps. */
  wall(): number;
  random(): number;
  setTimer(action: () => void, ms: number): unknown;
  clearTimer(timer: unknown): void;
  openSocket(url: string): Socket;
  fetch(url: string, signal: AbortSignal): Promise<Answer>;
  /** Whether `post` can be read while it comes. */
  readonly canStream: boolean;
  post(url: string, text: string, signal: AbortSignal): Promise<StreamAnswer>;
  /** Tell of the life of the page; returns how to stop. */
  attend(life: Life): () => void;
}

/** Whether this is a worker that was made of a text: nothing is relative to its address. */
function isBlob(): boolean {
  return globalThis.location?.protocol === "blob:";
}

/** The platform of a browser page (or of any runtime with the same globals). */
export function browserPlatform(WebSocketClass?: SocketClass): Platform {
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    random: () => Math.random(),
    setTimer: (action, ms) => setTimeout(action, ms),
    clearTimer: (timer) => clearTimeout(timer as number),
    openSocket: (url) => new (WebSocketClass ?? WebSocket)(url) as Socket,
    fetch: (url, signal) =>
      fetch(isBlob() ? new URL(url, location.origin) : url, { signal, credentials: "same-origin", cache: "no-store", headers: { Accept: "application/json" } }),
    canStream: typeof ReadableStream === "function" && typeof fetch === "function",
    // A text needs no leave of another origin first.
    post: (url, body, signal) => fetch(url, { method: "POST", body, signal, credentials: "same-origin", cache: "no-store" }),
    attend({ wake, depart }) {
      const page = globalThis.document as Document | undefined; // workers have none
      const shown = (): unknown => page?.visibilityState === "visible" && wake();
      // `offline` is not listened to: it lies behind VPNs and on loopback; a dead link shows by its silence.
      const events: [Partial<EventTarget> | undefined, string, () => unknown][] = [
        [globalThis, "online", wake],
        [globalThis, "pageshow", wake],
        [globalThis, "pagehide", depart],
        [page, "visibilitychange", shown],
        [page, "resume", wake],
        [page, "freeze", depart],
      ];
      for (const [target, type, action] of events) target?.addEventListener?.(type, action);
      return () => {
        for (const [target, type, action] of events) target?.removeEventListener?.(type, action);
      };
    },
  };
}
