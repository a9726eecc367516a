/**
 * One channel's subscription, shared by all in the page who hold it.
 *
 * Owns who holds it: events go to each, the newest token is the one in use, and when the last has gone the channel is
 * left. It must never keep anything of a holder who has let go.
 */
import type { MessageflowError } from "./codes.js";
import type { Context } from "./context.js";
import type { Platform } from "./platform.js";
import type { ClientInfo } from "./protocol.js";
import type { Connection, Detail, SubscriptionState } from "./state.js";
import { SubscriptionMachine } from "./subscription-machine.js";
import type { TokenSource } from "./token.js";
/** Somebody in the page who wants the channel. */
export interface Holder {
    readonly channel: string;
    readonly tokens: TokenSource;
    /** Whether joins and leaves are of interest. */
    readonly watches: boolean;
    onPublication(data: unknown, context: Context): void;
    onJoin(info: ClientInfo): void;
    onLeave(info: ClientInfo): void;
    onState(state: SubscriptionState, detail: Detail): void;
    /** @returns whether it makes up itself for what was missed. */
    onRecovery(recovered: boolean): boolean;
    /** @returns whether anybody was told. */
    onError(error: MessageflowError): boolean;
}
export interface SharedSubscriptionEvents {
    onRecovery(recovered: boolean): void;
    /** An error that no holder wants to know of. */
    onError(error: MessageflowError): void;
    /** The last holder has gone, and nobody came in the same tick. */
    onEmpty(): void;
}
export declare class SharedSubscription {
    #private;
    readonly machine: SubscriptionMachine;
    constructor(platform: Platform, connection: Connection, channel: string, tokens: TokenSource, events: SharedSubscriptionEvents);
    get isHeld(): boolean;
    /** Where its stream stands, to be compared; undefined where it cannot be known. */
    get positionKey(): string | undefined;
    /** Count somebody in, and subscribe if that is not so already. */
    hold(holder: Holder): void;
    /** Subscribe again after the server has ended it. */
    restart(): void;
    /** Count somebody out. Who comes in the same tick, as when a page draws itself anew, finds all as it was. */
    release(holder: Holder): void;
    joined(info: ClientInfo): void;
    left(info: ClientInfo): void;
}
