import { expect, test } from "bun:test";
import { readReport } from "./report.ts";

test("a report is read with its failures, what was left out, and its odd names", () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="5" failures="2" skipped="2" time="1">
  <testsuite name="a.test.ts" tests="5">
    <testsuite name="group" tests="2">
      <testcase name="one &amp; &lt;two&gt; > &quot;x&quot; &#39;y&#x41;" classname="group &gt; inner" time="0" />
      <testcase name="fails" classname="group" time="0.1">
        <failure type="AssertionError" message="&lt;testcase name=&quot;no&quot;&gt;">text</failure>
      </testcase>
    </testsuite>
    <testcase name="left out" classname="" time="0">
      <skipped />
    </testcase>
    <testcase name="to be written" classname="" time="0"><skipped message="TODO" /></testcase>
    <testcase name="crashed" classname="" time="0"><failure type="Error" message="m" /></testcase>
  </testsuite>
</testsuites>`;
  expect(readReport(xml)).toEqual([
    { name: `group > inner > one & <two> > "x" 'yA`, result: "passed" },
    { name: "group > fails", result: "failed" },
    { name: "left out", result: "skipped" },
    { name: "to be written", result: "skipped" },
    { name: "crashed", result: "failed" },
  ]);
});
