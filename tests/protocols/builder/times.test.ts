import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  NEVER,
  generalizedTime,
  parseGeneralizedTime,
  parseUtcTime,
  time,
  utcTime,
  utcTimeText,
} from "../../../src/protocols/builder/times.ts";
import { decode, encode } from "../../../src/protocols/der/der.ts";
import { DerError } from "../../../src/protocols/der/der-error.ts";

describe("GeneralizedTime", () => {
  test.each([
    ["20260102030405Z", "2026-01-02T03:04:05.000Z"],
    ["20260102030405.5Z", "2026-01-02T03:04:05.005Z"],
    ["20260102030405.50Z", "2026-01-02T03:04:05.050Z"],
    ["20260102030405.500Z", "2026-01-02T03:04:05.500Z"],
    ["20260102030405.5009999Z", "2026-01-02T03:04:05.500Z"],
    ["20260102030405.000Z", "2026-01-02T03:04:05.000Z"],
    ["2026010203Z", "2026-01-02T03:00:00.000Z"],
    ["202601020304", "2026-01-02T03:04:00.000Z"],
    ["20260102030405+0130", "2026-01-02T01:34:05.000Z"],
    ["20260102030405-0130", "2026-01-02T04:34:05.000Z"],
    ["99991231235959.999Z", "9999-12-31T23:59:59.999Z"],
    ["00000101000000Z", "0000-01-01T00:00:00.000Z"],
  ])("%s is %s", (text, iso) => {
    expect(new Date(parseGeneralizedTime(text)).toISOString()).toBe(iso);
  });

  test.each([
    "",
    "20261302030405Z",
    "20260230030405Z",
    "20260102240000Z",
    "20260102036000Z",
    "20260102030461Z",
    "20260102030405.Z",
    "20260102030405+2400",
    "20260102030405+01",
    "00000101000000+0001",
    "2026-01-02T03:04:05Z",
    "20260102030405Z ",
  ])("%s is none", (text) => {
    expect(() => parseGeneralizedTime(text)).toThrow(DerError);
  });

  test("is written with three digits or none", () => {
    expect(generalizedTime(Date.UTC(2026, 0, 2, 3, 4, 5))).toBe("20260102030405Z");
    expect(generalizedTime(Date.UTC(2026, 0, 2, 3, 4, 5, 5))).toBe("20260102030405.005Z");
    expect(generalizedTime(NEVER)).toBe("99991231235959.999Z");
    expect(() => generalizedTime(NEVER + 1)).toThrow(DerError);
    expect(() => generalizedTime(0.5)).toThrow(DerError);
    expect(() => generalizedTime(Number.NaN)).toThrow(DerError);
  });

  test("comes back, every millisecond of it", () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.parse("0000-01-01T00:00:00Z"), max: NEVER }), (instant) => {
        expect(decode(time(), encode(time(), instant))).toBe(instant);
      }),
    );
  });
});

describe("UTCTime", () => {
  test.each([
    ["260102030405Z", "2026-01-02T03:04:05.000Z"],
    ["2601020304Z", "2026-01-02T03:04:00.000Z"],
    ["500101000000Z", "1950-01-01T00:00:00.000Z"],
    ["491231235959Z", "2049-12-31T23:59:59.000Z"],
    ["260102030405+0100", "2026-01-02T02:04:05.000Z"],
  ])("%s is %s", (text, iso) => {
    expect(new Date(parseUtcTime(text)).toISOString()).toBe(iso);
  });

  test.each(["260102030405", "20260102030405Z", "261302030405Z", "26010203Z"])("%s is none", (text) => {
    expect(() => parseUtcTime(text)).toThrow(DerError);
  });

  test("is read everywhere, and written for old programs in whole seconds of its hundred years", () => {
    const bytes = encode(utcTime(), Date.UTC(2026, 0, 2, 3, 4, 5, 678));
    expect(Buffer.from(bytes).toString("latin1")).toBe("\x17\x0d260102030405Z");
    expect(decode(time(), bytes)).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
    expect(() => utcTimeText(Date.UTC(2050, 0, 1))).toThrow(DerError);
    expect(() => utcTimeText(Date.UTC(1949, 11, 31))).toThrow(DerError);
  });
});
