/**
 * From pushes to handlers by type: `{type, payload}` finds those who asked for it.
 *
 * Owns the handlers of types. Names are keys of a Map, so that none of them is special. It must never know where a
 * push came from.
 */

import type { Context } from "./context.js";
import { Emitter, type Off } from "./emitter.js";

/** What `Flow.push` sends: a Flux Standard Action without `error` and `meta`. */
export type Action<Type extends string = string, Payload = unknown> = unknown extends Payload
  ? { type: Type; payload?: Payload }
  : { type: Type; payload: Payload };

/** Every action of the pushes in a map of types to payloads. */
export type ActionOf<Pushes> = string extends keyof Pushes
  ? Action
  : { [Type in keyof Pushes & string]: Action<Type, Pushes[Type]> }[keyof Pushes & string];

// Methods, not functions: what arrives is for the page to know, so that it may say more of it than `unknown`.
export type PayloadHandler<Payload = unknown> = { handle(payload: Payload, context: Context): unknown }["handle"];
export type ActionHandler<A = Action> = { handle(action: A, context: Context): unknown }["handle"];

/** So many unknown types are named in the console before it is left alone. */
const MOST_TOLD = 50;

export class Actions {
  readonly #report: (error: unknown) => void;
  readonly #byType = new Map<string, Emitter<[unknown, Context]>>();
  readonly #all: Emitter<[Action, Context]>;
  readonly #unknown: Emitter<[unknown, Context]>;
  readonly #told = new Set<string>();

  constructor(report: (error: unknown) => void) {
    this.#report = report;
    this.#all = new Emitter(report);
    this.#unknown = new Emitter(report);
  }

  on(type: string, handler: PayloadHandler): Off {
    const emitter = this.#byType.get(type) ?? new Emitter<[unknown, Context]>(this.#report);
    const off = emitter.on(handler);
    this.#byType.set(type, emitter);
    return () => {
      off();
      if (!emitter.size && this.#byType.get(type) === emitter) this.#byType.delete(type);
    };
  }

  onMessage(handler: ActionHandler | undefined): Off {
    return this.#all.on(handler);
  }

  onUnknown(handler: ((data: unknown, context: Context) => unknown) | undefined): Off {
    return this.#unknown.on(handler);
  }

  /** Hand a push to those who asked for its type, and to those who asked for all. */
  route(data: unknown, context: Context): void {
    const action = isAction(data) ? data : undefined;
    const emitter = action && this.#byType.get(action.type);
    const known = emitter && emitter.size > 0;
    if (action) {
      emitter?.emit(action.payload, context);
      this.#all.emit(action, context);
    }
    if (known) return;
    this.#unknown.emit(data, context);
    if (!this.#unknown.size && !(action && this.#all.size)) this.#tell(action ? action.type : "(no type)", context);
  }

  #tell(type: string, { channel }: Context): void {
    if (this.#told.has(type) || this.#told.size >= MOST_TOLD) return;
    this.#told.add(type);
    try {
      console.debug(`messageflow: nobody handles "${type}" from ${channel}; add flow.on(…) or flow.onUnknown(…).`);
    } catch {
      // A console that was replaced; what was pushed is not at fault.
    }
  }
}

function isAction(data: unknown): data is Action {
  return !!data && typeof (data as Action).type === "string";
}
