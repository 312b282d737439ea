/** A program that runs an spt guest: `form.ts exec|spawn`, then as for solo5-spt. */
import { execSpt } from "../../../src/tender/spt/exec.ts";
import { runSpt } from "../../../src/tender/spt/spawn.ts";
import { readSpec } from "./spec.ts";

const [form, ...args] = process.argv.slice(2);
const spec = readSpec(args);
if (form === "exec") execSpt(spec);
process.exitCode = await runSpt(spec, (sentence) => process.stderr.write(`${sentence}\n`));
