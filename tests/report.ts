/** Reads the JUnit reports that `bun test` writes, as far as counting tests needs it. */

export interface TestCase {
  /** With the groups around it: `group > test`. */
  readonly name: string;
  readonly result: "passed" | "failed" | "skipped";
}

/** The test cases of a report, in its order. A test that is still to be written counts as skipped. */
export function readReport(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  for (const [, attributes = "", , body = ""] of xml.matchAll(
    /<testcase\b((?:[^>"]|"[^"]*")*?)(\/>|>([^]*?)<\/testcase>)/g,
  )) {
    const group = unescape(/\bclassname="([^"]*)"/.exec(attributes)?.[1] ?? "");
    const name = unescape(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? "");
    const isFailure = /<(failure|error)\b/.test(body);
    const isSkipped = /<skipped\b/.test(body);
    cases.push({
      name: group === "" ? name : `${group} > ${name}`,
      result: isFailure ? "failed" : isSkipped ? "skipped" : "passed",
    });
  }
  return cases;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replaceAll(/&(#?\w+);/g, (whole, name: string) => {
    if (name.startsWith("#x")) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    return ENTITIES[name] ?? whole;
  });
}
