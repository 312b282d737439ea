/**
 * What the compiler takes for the browser's types where there is no browser. Preact's types ask for them
 * (`/// <reference lib="dom" />`), and with them every file of the server would know `document` and `name`, and lose
 * what Bun adds to streams. Only web/islands is checked with the real ones (`libReplacement` in tsconfig.json).
 */
declare const noDom: undefined;
export default noDom;
