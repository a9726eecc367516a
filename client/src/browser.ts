/** The entry that is a script tag: notes where it came from and gives the page one global, `messageflow`. */

import { connect, createSocket, MessageflowError, setOrigin, status, version } from "./index.js";

// Only while the script itself runs does the page say which one it is.
setOrigin((document.currentScript as HTMLScriptElement | null)?.src);

Object.assign(globalThis, { messageflow: { connect, createSocket, MessageflowError, status, version } });
