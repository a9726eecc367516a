/** A program that is the same by `import` and by `require`, compiled as both. */

import { connect, type Flow, MessageflowError, version } from "messageflow";

const flow: Flow = connect({ on: { "report/ready": (report: { id: number }) => report.id } });
flow.onMessage((action) => action.type.length + version.length);
flow.ready().catch((error: unknown) => error instanceof MessageflowError && error.code > 0);
// @ts-expect-error a port is no option: the types are ours, and not `any`
connect({ port: 8000 });
