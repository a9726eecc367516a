export const VERSION = "0.1.0"; // as in package.json; a test compares them
