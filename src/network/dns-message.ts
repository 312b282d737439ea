/** DNS messages (RFC 1035), as far as a responder for a few names and a forwarder need them. */

export const TYPE = { A: 1, SOA: 6, PTR: 12, AAAA: 28, ANY: 255 } as const;
export const RCODE = { ok: 0, formatError: 1, failure: 2, noName: 3, notImplemented: 4, refused: 5 } as const;

const HEADER = 12;
const CLASS_IN = 1;
const CLASS_ANY = 255;
const NAME_MAX = 255;
const LABEL_MAX = 63;

export interface DnsQuestion {
  readonly id: number;
  /** Lower case, without the final dot. */
  readonly name: string;
  readonly type: number;
  /** The question's bytes as they came, to be repeated. */
  readonly bytes: Uint8Array;
  readonly recursionDesired: boolean;
  /** Where the question ends in the message. */
  readonly end: number;
}

/** The one question of a query, or undefined for whatever isn't one. */
export function readQuestion(message: Uint8Array): DnsQuestion | undefined {
  if (message.length < HEADER + 5) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const flags = view.getUint16(2, false);
  const isQuery = (flags & 0xf800) === 0;
  if (!isQuery || view.getUint16(4, false) !== 1 || view.getUint16(6, false) !== 0) return undefined;
  const labels: string[] = [];
  let at = HEADER;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > LABEL_MAX || at - HEADER > NAME_MAX) return undefined;
    at += 1;
    if (length === 0) break;
    if (at + length > message.length) return undefined;
    labels.push(new TextDecoder("latin1").decode(message.subarray(at, at + length)).toLowerCase());
    at += length;
  }
  if (at + 4 > message.length) return undefined;
  const kind = view.getUint16(at + 2, false);
  if (kind !== CLASS_IN && kind !== CLASS_ANY) return undefined;
  return {
    id: view.getUint16(0, false),
    name: labels.join("."),
    type: view.getUint16(at, false),
    bytes: message.subarray(HEADER, at + 4),
    recursionDesired: (flags & 0x0100) !== 0,
    end: at + 4,
  };
}

export interface DnsRecord {
  readonly type: number;
  readonly ttl: number;
  readonly data: Uint8Array;
}

export interface DnsAnswer {
  readonly rcode: number;
  readonly answers: readonly DnsRecord[];
  /** The zone whose SOA says how long a "no" may be kept. */
  readonly zone?: string;
  readonly isAuthoritative: boolean;
}

/** A name on the wire, uncompressed. Labels that don't fit are a RangeError. */
export function encodeName(name: string): Uint8Array {
  const labels = name === "" ? [] : name.split(".");
  const bytes = labels.flatMap((label) => {
    const text = [...new TextEncoder().encode(label)];
    if (text.length === 0 || text.length > LABEL_MAX) throw new RangeError(`not a DNS name: ${name}`);
    return [text.length, ...text];
  });
  return new Uint8Array([...bytes, 0]);
}

/** How long a "no" may be kept, seconds. */
const NEGATIVE_TTL = 5;

/** The response to a question. */
export function writeAnswer(question: DnsQuestion, answer: DnsAnswer): Uint8Array {
  const authority = answer.zone !== undefined && answer.answers.length === 0 ? [soa(answer.zone)] : [];
  const pointer = [0xc0, HEADER];
  const records = [
    ...answer.answers.map((record) => encodeRecord(new Uint8Array(pointer), record)),
    ...authority.map(({ owner, record }) => encodeRecord(owner, record)),
  ];
  const length = HEADER + question.bytes.length + records.reduce((sum, { length }) => sum + length, 0);
  const message = new Uint8Array(length);
  const view = new DataView(message.buffer);
  view.setUint16(0, question.id, false);
  const RESPONSE = 0x8000;
  const AUTHORITATIVE = 0x0400;
  const RECURSION = 0x0080;
  view.setUint16(
    2,
    RESPONSE |
      (answer.isAuthoritative ? AUTHORITATIVE : 0) |
      (question.recursionDesired ? 0x0100 : 0) |
      RECURSION |
      answer.rcode,
    false,
  );
  view.setUint16(4, 1, false);
  view.setUint16(6, answer.answers.length, false);
  view.setUint16(8, authority.length, false);
  message.set(question.bytes, HEADER);
  let at = HEADER + question.bytes.length;
  for (const record of records) {
    message.set(record, at);
    at += record.length;
  }
  return message;
}

function encodeRecord(owner: Uint8Array, { type, ttl, data }: DnsRecord): Uint8Array {
  const bytes = new Uint8Array(owner.length + 10 + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set(owner);
  view.setUint16(owner.length, type, false);
  view.setUint16(owner.length + 2, CLASS_IN, false);
  view.setUint32(owner.length + 4, ttl, false);
  view.setUint16(owner.length + 8, data.length, false);
  bytes.set(data, owner.length + 10);
  return bytes;
}

function soa(zone: string): { owner: Uint8Array; record: DnsRecord } {
  const name = encodeName(zone);
  const numbers = new DataView(new ArrayBuffer(20));
  for (const [i, value] of [1, 3600, 600, 86_400, NEGATIVE_TTL].entries())
    numbers.setUint32(i * 4, value, false);
  const data = new Uint8Array([
    ...name,
    ...encodeName(`hostmaster.${zone}`),
    ...new Uint8Array(numbers.buffer),
  ]);
  return { owner: name, record: { type: TYPE.SOA, ttl: NEGATIVE_TTL, data } };
}

/** The same message under another id. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = message.slice();
  new DataView(copy.buffer).setUint16(0, id, false);
  return copy;
}

/** The id of a message. */
export function idOf(message: Uint8Array): number {
  return (message[0]! << 8) | message[1]!;
}
