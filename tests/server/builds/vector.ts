/** The exec document that builder-web's reference gives, and what follows from it. */
export const RECORD = Buffer.from(
  "a081f93081f6301b0c0568656c6c6f0c05747275650a30000c0964656269616e2d31320c" +
    "10084552148a9b413ab116a65353dc0743301d300c020459682f000c04646f6e65300d02" +
    "040ee6b2800c0573746172743026181332303234303930343130313131322e3132335a18" +
    "0f32303234303930343130313131345aa003020100307930150c0d62696e2f68656c6c6f" +
    "2e6876740c047f454c4630230c0b6f70616d2d7377697463680c146f70616d2d76657273" +
    "696f6e3a2022322e30220a301d0c116275696c642d656e7669726f6e6d656e740c084f53" +
    "3d6c696e7578301c0c0f73797374656d2d7061636b616765730c097a6c69623d312e320a",
  "hex",
);
export const ID = "08455214-8a9b-413a-b116-a65353dc0743";
export const PATH = `/job/hello/build/${ID}`;
export const SHA = "3bdbb4fe8397cd2b842430b39ccff01a8663c751945ef5e9a09e267fb8b1d359";
export const TAG = "O9u0/oOXzSuEJDCznM/wGoZjx1GUXvXpoJ4mf7ix01k=";

/** The document under another id, so that it is another build. */
export function recordWithId(last: number): typeof RECORD {
  const copy = Buffer.from(RECORD);
  copy.writeUInt16BE(last, copy.indexOf(Buffer.from(ID.replaceAll("-", ""), "hex")) + 14);
  return copy;
}
