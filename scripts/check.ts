/**
 * `npm run check`: format, lint (with the order of imports), types. Prints what failed; exit status 1.
 */
const steps: [name: string, command: string[]][] = [
  ["format", [process.execPath, "fmt", "--check", "--no-script"]],
  ["lint", ["node_modules/.bin/oxlint", "--deny-warnings"]],
  ["types", [process.execPath, "check", "--no-script"]],
  ["types of the browser's files", [process.execPath, "check", "--no-script", "-p", "web/islands"]],
];

let failed = 0;
for (const [name, command] of steps) {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { stdin: "ignore" });
  if (exitCode === 0) continue;
  failed += 1;
  console.error(`${name}: failed (${command.slice(-2).join(" ")})\n${stdout}${stderr}`);
}
if (failed > 0) process.exit(1);
console.log("format, lint and types are clean");
