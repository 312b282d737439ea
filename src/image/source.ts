/**
 * Where the bytes of an image come from. The readers of this room ask for small pieces at hostile offsets, so
 * a source answers what there is: fewer bytes, or none, past the end.
 */
export interface ImageSource {
  /** Bytes in all. */
  readonly size: number;
  /** At most `length` bytes from `offset`; fewer at the end of the file. */
  read(offset: number, length: number): Uint8Array;
}

/** An image held in memory. */
export function bytesSource(bytes: Uint8Array): ImageSource {
  return {
    size: bytes.length,
    read: (offset, length) =>
      offset >= bytes.length ? new Uint8Array(0) : bytes.subarray(offset, offset + length),
  };
}

/** Little-endian fields over some bytes. */
export function fieldsOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * An unsigned 64-bit field as a number. Exact below 2^53; from there on it is rounded, but never to something
 * smaller than 2^53, so comparing it with a size or an offset still gives the right answer.
 */
export function u64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;
}
