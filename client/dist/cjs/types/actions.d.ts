/**
 * From pushes to handlers by type: `{type, payload}` finds those who asked for it.
 *
 * Owns the handlers of types. Names are keys of a Map, so that none of them is special. It must never know where a
 * push came from.
 */
import type { Context } from "./context.js";
import { type Off } from "./emitter.js";
/** What `Flow.push` sends: a Flux Standard Action without `error` and `meta`. */
export type Action<Type extends string = string, Payload = unknown> = unknown extends Payload ? {
    type: Type;
    payload?: Payload;
} : {
    type: Type;
    payload: Payload;
};
/** Every action of the pushes in a map of types to payloads. */
export type ActionOf<Pushes> = string extends keyof Pushes ? Action : {
    [Type in keyof Pushes & string]: Action<Type, Pushes[Type]>;
}[keyof Pushes & string];
export type PayloadHandler<Payload = unknown> = {
    handle(payload: Payload, context: Context): unknown;
}["handle"];
export type ActionHandler<A = Action> = {
    handle(action: A, context: Context): unknown;
}["handle"];
export declare class Actions {
    #private;
    constructor(report: (error: unknown) => void);
    on(type: string, handler: PayloadHandler): Off;
    onMessage(handler: ActionHandler | undefined): Off;
    onUnknown(handler: ((data: unknown, context: Context) => unknown) | undefined): Off;
    /** Hand a push to those who asked for its type, and to those who asked for all. */
    route(data: unknown, context: Context): void;
}
