/** A classic BPF machine as the kernel has it, for the instructions that seccomp filters use: it runs a filter. */

/** One system call as a filter sees it. */
export interface Call {
  readonly number: number;
  /** AUDIT_ARCH_… */
  readonly architecture: number;
  readonly args?: readonly bigint[];
}

export const AUDIT_ARCH_X86_64 = 0xc000_003e;
export const AUDIT_ARCH_AARCH64 = 0xc000_00b7;
export const AUDIT_ARCH_I386 = 0x4000_0003;

/** What the filter answers. Throws for anything that the kernel's checker would refuse on the way. */
export function runFilter(program: Uint8Array, call: Call): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, call.number, true);
  data.setUint32(4, call.architecture, true);
  for (const [i, value] of (call.args ?? []).entries()) data.setBigUint64(16 + 8 * i, value, true);

  const view = new DataView(program.buffer, program.byteOffset, program.length);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8;) {
    const code = view.getUint16(at * 8, true);
    const yes = view.getUint8(at * 8 + 2);
    const no = view.getUint8(at * 8 + 3);
    const k = view.getUint32(at * 8 + 4, true);
    at += 1;
    switch (code) {
      case 0x20:
        if (k > 60 || k % 4 !== 0) throw new Error(`load from ${k}`);
        accumulator = data.getUint32(k, true);
        break;
      case 0x54:
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x05:
        at += k;
        break;
      case 0x15:
        at += accumulator === k ? yes : no;
        break;
      case 0x25:
        at += accumulator > k ? yes : no;
        break;
      case 0x35:
        at += accumulator >= k ? yes : no;
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`instruction ${code.toString(16)}`);
    }
  }
  throw new Error("ran past the end");
}
