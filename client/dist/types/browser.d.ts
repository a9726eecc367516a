/** The entry that is a script tag: notes what the tag says and gives the page one global, `messageflow`. */
import "./global.js";
