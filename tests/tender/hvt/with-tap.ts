// Opens a tap and starts a command that has it as descriptor 3: `bun with-tap.ts TAP COMMAND…`.
import { openTap } from "../../../src/tender/devices/tap.ts";

const [tap = "", ...command] = process.argv.slice(2);
const { fd } = openTap(tap);
const child = Bun.spawn(command, { stdio: ["ignore", "inherit", "inherit", fd] });
process.exitCode = await child.exited;
