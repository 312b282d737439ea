/**
 * Times in builder's messages: GeneralizedTime, and UTCTime from before 0.4.0. They are read as asn1-combinators reads
 * them: minutes of the zone count, and the fraction is a whole number of milliseconds of at most three digits, so that
 * `.5` is 5 ms.
 */
import { type Der, primitive } from "../der/der.ts";
import { DerError } from "../der/der-error.ts";

/** Year 9999's last millisecond: builder's word for never. */
export const NEVER = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
/** Year 0's first. */
const FIRST = Date.parse("0000-01-01T00:00:00Z");

const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;

/** Either kind, written as GeneralizedTime. Milliseconds since 1970. */
export function time(): Der<number> {
  return timeWrittenAs(GENERALIZED_TIME, generalizedTime);
}

/** Either kind, written as UTCTime, in whole seconds and from 1950 to 2049, for programs that know nothing else. */
export function utcTime(): Der<number> {
  return timeWrittenAs(UTC_TIME, utcTimeText);
}

function timeWrittenAs(tag: number, format: (time: number) => string): Der<number> {
  const kinds = [
    primitive(UTC_TIME, (text) => parseUtcTime(asciiOf(text)), noBytes),
    primitive(GENERALIZED_TIME, (text) => parseGeneralizedTime(asciiOf(text)), noBytes),
  ] as const;
  const target = primitive<number>(tag, noTime, (value) => new TextEncoder().encode(format(value)));
  return {
    tags: [UTC_TIME, GENERALIZED_TIME],
    read: (input) => kinds[input.peek() === UTC_TIME ? 0 : 1].read(input),
    write: target.write,
  };
}

function noBytes(): Uint8Array {
  throw new TypeError("this side is never used");
}

function noTime(): number {
  throw new TypeError("this side is never used");
}

function asciiOf(bytes: Uint8Array): string {
  // The longest that makes sense is 23; what isn't ASCII matches no pattern.
  return Buffer.from(bytes.subarray(0, 64)).toString("latin1") + (bytes.length > 64 ? "…" : "");
}

/** `YYMMDDhhmm[ss]` and `Z` or a zone; from 50 on in the 20th century. Throws DerError. */
export function parseUtcTime(text: string): number {
  const match = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:Z|([+-])(\d\d)(\d\d))$/.exec(text);
  if (match === null) throw new DerError("bad-value", "a malformed UTCTime");
  const [, year, month, day, hour, minute, second, ...zone] = match;
  const century = Number(year) >= 50 ? 1900 : 2000;
  return instant([century + Number(year), month, day, hour, minute, second].map(numberOf), 0, zone);
}

/** `YYYYMMDDhh[mm[ss[.f…]]]`, and `Z`, a zone, or nothing. Throws DerError. */
export function parseGeneralizedTime(text: string): number {
  const match =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,3})\d*)?)?)?(?:Z|([+-])(\d\d)(\d\d))?$/.exec(
      text,
    );
  if (match === null) throw new DerError("bad-value", "a malformed GeneralizedTime");
  const [, year, month, day, hour, minute, second, fraction, ...zone] = match;
  return instant([year, month, day, hour, minute, second].map(numberOf), numberOf(fraction), zone);
}

/** The group of a pattern as a number; one that isn't there is 0. */
function numberOf(digits: string | number | undefined): number {
  return Number(digits ?? 0);
}

function instant(fields: readonly number[], ms: number, zone: readonly (string | undefined)[]): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
  const [sign, ...offset] = zone;
  const [zoneHours = 0, zoneMinutes = 0] = offset.map(numberOf);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDate = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isDate || hour > 23 || minute > 59 || second > 60 || zoneHours > 23 || zoneMinutes > 59) {
    throw new DerError("bad-value", "a time that doesn't exist");
  }
  // A leap second is the first of the next minute, as POSIX counts.
  date.setUTCHours(hour, minute, second, ms);
  const east = (zoneHours * 60 + zoneMinutes) * 60_000 * (sign === "-" ? -1 : 1);
  return checked(date.getTime() - east);
}

/** `YYYYMMDDhhmmss[.fff]Z`, the fraction with three digits and only where it isn't zero. Throws DerError. */
export function generalizedTime(time: number): string {
  const digits = new Date(checked(time)).toISOString().replaceAll(/[-:T]/g, "");
  return digits.replace(".000Z", "Z");
}

/** `YYMMDDhhmmssZ`; what is below a second is cut off. Throws DerError. */
export function utcTimeText(time: number): string {
  const digits = generalizedTime(Math.floor(checked(time) / 1000) * 1000);
  if (digits < "1950" || digits >= "2050") throw new DerError("bad-value", "a year that UTCTime can't have");
  return digits.slice(2);
}

function checked(time: number): number {
  if (!Number.isInteger(time) || time < FIRST || time > NEVER) {
    throw new DerError("bad-value", "a time outside of the years 0 to 9999");
  }
  return time;
}
