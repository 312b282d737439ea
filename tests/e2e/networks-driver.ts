/**
 * `robur run` and `robur network` from source, started by the tests in network namespaces of their own:
 * bun networks-driver.ts run|network …
 */
import { formatError } from "../../src/lib/errors.ts";
import { main as network } from "../../src/commands/network.ts";
import { main as run } from "../../src/commands/run.ts";

const [what, ...argv] = process.argv.slice(2);
try {
  await (what === "run" ? run(argv) : network(argv));
} catch (error) {
  process.stderr.write(formatError(error));
  process.exitCode = 1;
}
