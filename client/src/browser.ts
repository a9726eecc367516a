/** The entry that is a script tag: notes what the tag says and gives the page one global, `messageflow`. */

import "./global.js";
import { connect, createSocket, MessageflowError, setBase, setDefaults, status, version } from "./index.js";

// Only while the script itself runs does the page say which one it is; workers and modules do not.
const tag = globalThis.document?.currentScript as HTMLScriptElement | null | undefined;
setBase(tag?.src);
setDefaults(tag?.dataset ?? {});

globalThis.messageflow = { connect, createSocket, MessageflowError, status, version };
