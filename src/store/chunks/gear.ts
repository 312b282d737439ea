/**
 * A number for each value of a byte, from which the rolling hash is made. Any 256 numbers without a pattern will do,
 * but they must never change: with others, nothing that is stored would share a chunk with anything new. So they are
 * not listed but defined: number i is the first four bytes (big-endian) of SHA-256("robur chunk gear i").
 */
export const GEAR: Int32Array = makeGear();

function makeGear(): Int32Array {
  const gear = new Int32Array(256);
  for (let i = 0; i < gear.length; i++) {
    const digest = new Bun.CryptoHasher("sha256").update(`robur chunk gear ${i}`).digest();
    gear[i] = digest.readInt32BE(0);
  }
  return gear;
}
