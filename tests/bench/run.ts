/**
 * `npm run bench`: every benchmark, one after another, since each wants the machine to itself. With a name (`tender`,
 * `spt`, `network`, `create`, `store`, `uploads`, `builds`, `queue`) that one, and what follows is its own arguments.
 */
import { join } from "node:path";

const BENCHMARKS = ["tender", "spt", "network", "create", "store", "uploads", "builds", "queue"];

const [name, ...args] = process.argv.slice(2);
if (name !== undefined && !BENCHMARKS.includes(name)) {
  console.error(`there is no benchmark ${name}: ${BENCHMARKS.join(", ")}`);
  process.exit(2);
}
let failed = 0;
for (const benchmark of name === undefined ? BENCHMARKS : [name]) {
  console.log(`\n${benchmark}`);
  const { exitCode } = Bun.spawnSync([process.execPath, join(import.meta.dir, `${benchmark}.ts`), ...args], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
