/** The entry that is a script tag: notes where it came from and gives the page one global, `messageflow`. */

import "./global.js";
import { connect, createSocket, MessageflowError, setBase, status, version } from "./index.js";

// Only while the script itself runs does the page say which one it is; workers and modules do not.
setBase((globalThis.document?.currentScript as HTMLScriptElement | null | undefined)?.src);

globalThis.messageflow = { connect, createSocket, MessageflowError, status, version };
