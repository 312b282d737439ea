/**
 * What a guest can ask of its tender. Each call's argument is the address of a structure in guest memory, whose
 * layout is given at the method; results go back into it. Source: Solo5's hvt ABI.
 *
 * A pointer outside of guest memory ends the guest (GuestMemory throws); a handle or block range that doesn't
 * exist is answered with EINVAL. The order of checks is the original's: structure, handle and range, buffer.
 */
import { ERRNO, errnoText } from "../../linux/errno.ts";
import {
  CLOCK_MONOTONIC,
  CLOCK_REALTIME,
  POLLIN,
  clockGettime,
  ppoll,
  preadInto,
  pwriteFrom,
} from "../../linux/libc.ts";
import { COUNTER } from "../counter-page.ts";
import { type NetPort, writeConsole } from "../devices/port.ts";
import { TenderError } from "../tender-error.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { HYPERCALL } from "./layout.ts";

/** Results that a guest sees (solo5_result_t). */
const OK = 0;
const AGAIN = 1;
const EINVAL = 2;
const EUNSPEC = 3;

/** Bytes at a halt's cookie that must be the guest's to read. */
const COOKIE_SIZE = 512;

const STDOUT = 1;
const NS_PER_S = 1e9;
/** Longest wait that is counted, 2^62 ns; a guest asking for more waits without end. */
const FOREVER_NS = 2 ** 62;

export interface BlockPort {
  readonly handle: number;
  readonly fd: number;
  readonly capacity: number;
  /** Writing is answered with EUNSPEC, which is what a guest under spt makes of it too. */
  readonly isReadOnly: boolean;
}

export interface Halt {
  /** 0 to 255. */
  readonly status: number;
  /** Guest address of the trap record, or 0. */
  readonly cookie: number;
}

export class Hypercalls {
  /** Set by the halt call; the guest must not be run again. */
  halted: Halt | undefined;
  /** One for each COUNTER. */
  readonly counters: Float64Array;
  readonly #memory: GuestMemory;
  readonly #nets: (NetPort | undefined)[] = [];
  readonly #blocks: (BlockPort | undefined)[] = [];
  readonly #hasNets: boolean;
  readonly #hasBlocks: boolean;
  readonly #ports: readonly NetPort[];
  /** One pollfd a port: descriptor i32, wanted and found events i16 each. */
  readonly #pollFds: Int32Array;
  readonly #now = new Uint32Array(4);
  readonly #timeout = new Uint32Array(4);

  constructor(
    memory: GuestMemory,
    nets: readonly NetPort[],
    blocks: readonly BlockPort[],
    counters: Float64Array,
  ) {
    this.counters = counters;
    this.#memory = memory;
    this.#ports = nets;
    for (const net of nets) this.#nets[net.handle] = net;
    for (const block of blocks) this.#blocks[block.handle] = block;
    this.#hasNets = nets.length > 0;
    this.#hasBlocks = blocks.length > 0;
    this.#pollFds = new Int32Array(nets.length * 2);
    for (const [i, net] of nets.entries()) this.#pollFds[i * 2] = net.fd;
  }

  /** Performs call `number` with the structure at guest address `at`. Throws TenderError to end the guest. */
  call(number: number, at: number): void {
    if (number !== 0) this.#count(COUNTER.calls - 1 + number, 1);
    switch (number) {
      case HYPERCALL.walltime:
        return this.#walltime(at);
      case HYPERCALL.puts:
        return this.#puts(at);
      case HYPERCALL.poll:
        return this.#poll(at);
      case HYPERCALL.blockWrite:
      case HYPERCALL.blockRead:
        if (this.#hasBlocks) return this.#block(at, number === HYPERCALL.blockWrite);
        break;
      case HYPERCALL.netWrite:
        if (this.#hasNets) return this.#netWrite(at);
        break;
      case HYPERCALL.netRead:
        if (this.#hasNets) return this.#netRead(at);
        break;
      case HYPERCALL.halt:
        return this.#halt(at);
    }
    throw new TenderError("guest-fault", `invalid guest hypercall: ${number}`);
  }

  #count(counter: number, by: number): void {
    this.counters[counter] = this.counters[counter]! + by;
  }

  /** {nsecs u64 out}: the time of day in nanoseconds since 1970. */
  #walltime(at: number): void {
    this.#memory.checkWrite(at, 8);
    const now = this.#now;
    clockGettime(CLOCK_REALTIME, now);
    // seconds * 10^9 in two halves, since the product needs more than a number's 53 bits
    const seconds = now[0]! + now[1]! * 0x1_0000_0000;
    const upper = Math.floor(seconds / 0x1_0000) * NS_PER_S;
    const lower = (seconds % 0x1_0000) * NS_PER_S + (upper % 0x1_0000) * 0x1_0000 + now[2]!;
    const high = Math.floor(upper / 0x1_0000) + Math.floor(lower / 0x1_0000_0000);
    this.#memory.setU64(at, lower % 0x1_0000_0000, high);
  }

  /** {data u64, len u64}: console output. */
  #puts(at: number): void {
    this.#memory.checkRead(at, 16);
    const data = this.#memory.u64(at);
    const length = this.#memory.u64(at + 8);
    this.#memory.checkRead(data, length);
    writeConsole(STDOUT, this.#memory.base + data, length);
  }

  /** {timeout ns u64, ready set u64 out, ret i32 out}: wait until a network device has a frame. */
  #poll(at: number): void {
    this.#memory.checkWrite(at, 24);
    this.#wait(this.#memory.u64(at));
    let low = 0;
    let high = 0;
    let ready = 0;
    for (let i = 0; i < this.#ports.length; i++) {
      if (this.#pollFds[i * 2 + 1]! >>> 16 === 0) continue;
      const { handle } = this.#ports[i]!;
      if (handle < 32) low |= 1 << handle;
      else high |= 1 << (handle - 32);
      ready += 1;
    }
    this.#memory.setU64(at + 8, low, high);
    this.#memory.setI32(at + 16, ready);
  }

  /** Waits for a frame on any port, at most `timeout` ns, whatever signals come in between. */
  #wait(timeout: number): void {
    const count = this.#ports.length;
    const endless = timeout >= FOREVER_NS;
    const deadline = endless || timeout === 0 ? 0 : this.#monotonic() + timeout;
    for (let left = timeout; ; left = Math.max(0, deadline - this.#monotonic())) {
      for (let i = 0; i < count; i++) this.#pollFds[i * 2 + 1] = POLLIN;
      const seconds = Math.floor(left / NS_PER_S);
      this.#timeout[0] = seconds % 0x1_0000_0000;
      this.#timeout[1] = Math.floor(seconds / 0x1_0000_0000);
      this.#timeout[2] = left - seconds * NS_PER_S;
      const result = ppoll(this.#pollFds, count, endless ? null : this.#timeout);
      if (result >= 0) return;
      if (result !== -ERRNO.EINTR) throw failed("waiting for network devices", result);
    }
  }

  #monotonic(): number {
    clockGettime(CLOCK_MONOTONIC, this.#now);
    return this.#now[0]! * NS_PER_S + this.#now[2]!;
  }

  /** {handle u64, offset u64, data u64, len u64, ret i32 out}: bytes to or from a block device. */
  #block(at: number, isWrite: boolean): void {
    const memory = this.#memory;
    memory.checkWrite(at, 40);
    const device = this.#blocks[memory.u64(at)];
    const offset = memory.u64(at + 8);
    const length = memory.u64(at + 24);
    if (device === undefined || offset >= device.capacity || offset + length > device.capacity) {
      memory.setI32(at + 32, EINVAL);
      return;
    }
    const data = memory.u64(at + 16);
    if (isWrite) memory.checkRead(data, length);
    else memory.checkWrite(data, length);
    if (isWrite && device.isReadOnly) {
      memory.setI32(at + 32, EUNSPEC);
      return;
    }
    transfer(isWrite ? pwriteFrom : preadInto, device.fd, memory.base + data, length, offset);
    this.#count(isWrite ? COUNTER.writeRequests : COUNTER.readRequests, 1);
    this.#count(isWrite ? COUNTER.writeBytes : COUNTER.readBytes, length);
    memory.setI32(at + 32, OK);
  }

  /** {handle u64, data u64, len u64, ret i32 out}: one frame out. */
  #netWrite(at: number): void {
    const memory = this.#memory;
    memory.checkWrite(at, 32);
    const port = this.#nets[memory.u64(at)];
    if (port === undefined) {
      memory.setI32(at + 24, EINVAL);
      return;
    }
    const data = memory.u64(at + 8);
    const length = memory.u64(at + 16);
    memory.checkRead(data, length);
    const result = port.writeFrame(memory.base + data, length);
    if (result !== length && !mayLose(result)) throw failed("writing a frame", result);
    if (result === length) {
      this.#count(COUNTER.framesOut, 1);
      this.#count(COUNTER.frameBytesOut, length);
    }
    memory.setI32(at + 24, OK);
  }

  /** {handle u64, data u64, len u64 in and out, ret i32 out}: one frame in, if there is one. */
  #netRead(at: number): void {
    const memory = this.#memory;
    memory.checkWrite(at, 32);
    const port = this.#nets[memory.u64(at)];
    if (port === undefined) {
      memory.setI32(at + 24, EINVAL);
      return;
    }
    const data = memory.u64(at + 8);
    const length = memory.u64(at + 16);
    memory.checkWrite(data, length);
    const result = port.readFrame(memory.base + data, length);
    if (result === 0 || mayLose(result)) {
      memory.setI32(at + 24, AGAIN);
      return;
    }
    if (result < 0) throw failed("reading a frame", result);
    this.#count(COUNTER.framesIn, 1);
    this.#count(COUNTER.frameBytesIn, result);
    memory.setU64(at + 16, result, 0);
    memory.setI32(at + 24, OK);
  }

  /** {cookie u64, exit status i32}: the end. */
  #halt(at: number): void {
    this.#memory.checkRead(at, 16);
    const cookie = this.#memory.u64(at);
    if (cookie !== 0) this.#memory.checkRead(cookie, COOKIE_SIZE);
    this.halted = { status: this.#memory.i32(at + 8) & 0xff, cookie };
  }
}

/**
 * Errors that lose a frame and nothing else: no room, or an interface that is down for the moment. A network
 * may lose frames, and a unikernel that runs for months should live through it.
 */
function mayLose(result: number): boolean {
  return (
    result === -ERRNO.EAGAIN || result === -ERRNO.EIO || result === -ERRNO.ENOBUFS || result === -ERRNO.EINTR
  );
}

/** Moves all bytes; a short count or an error is the end of the guest, which could not go on with half of them. */
function transfer(move: typeof preadInto, fd: number, address: number, length: number, offset: number): void {
  let done = 0;
  while (done < length) {
    const count = move(fd, address + done, length - done, offset + done);
    if (count > 0) done += count;
    else if (count !== -ERRNO.EINTR) throw failed("block device", count);
  }
}

function failed(what: string, result: number): TenderError {
  return new TenderError(
    "device-failed",
    `${what}: ${result < 0 ? errnoText(-result) : `only ${result} bytes done`}`,
  );
}
