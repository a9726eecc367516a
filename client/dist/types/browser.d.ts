/** The entry that is a script tag: notes where it came from and gives the page one global, `messageflow`. */
import "./global.js";
