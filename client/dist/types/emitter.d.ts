/**
 * A list of handlers that cannot hurt each other.
 *
 * Owns who listens. It must never let one handler's exception reach another handler or the caller.
 */
/** Takes back what `on…()` gave. */
export type Off = () => void;
/** A handler that shows what it hears to nobody who could act: beside it, people are told as if there were none. */
export interface Quiet {
    quiet?: true;
}
export declare class Emitter<Args extends unknown[]> {
    #private;
    /** @param report is told of what a handler threw, or of what its promise rejected with. It must not throw. */
    constructor(report: (error: unknown) => void);
    /** How many listen who may act. */
    get size(): number;
    /** Add a handler; undefined is let pass, so that optional handlers need no test. */
    on(handler: ((...args: Args) => unknown) | undefined): Off;
    /** Call those who listen now; handlers added meanwhile count from the next time, those taken back are not called. */
    emit(...args: Args): void;
}
