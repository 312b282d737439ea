/** `robur apply`: makes a server have what a file says. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { RoburError, UsageError, formatError } from "../lib/errors.ts";
import { shellWord } from "../lib/shell-word.ts";
import { print, printError } from "../linux/libc.ts";
import { parseDeclaration } from "./apply/declaration.ts";
import { type LookedAt, lookAtImages } from "./apply/images.ts";
import { type Step, formatStep, planApply } from "./apply/plan.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { listUnikernels } from "./client/resolve-name.ts";
import type { StartedAnswer } from "./client/started.ts";
import { confirm } from "./confirm.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = clientParser(
    "robur apply",
    "robur apply -f FILE\n\nMakes the server have the unikernels and policies that a file says, and changes nothing that is\nso already. robur export writes such a file.",
    argv,
  )
    .option("file", {
      alias: "f",
      type: "string",
      demandOption: true,
      requiresArg: true,
      describe: "unikernels.toml, or - for standard input",
    })
    .option("dry-run", {
      type: "boolean",
      default: false,
      describe: "say what would be done, and do nothing",
    })
    .option("prune", { type: "boolean", default: false, describe: "remove what isn't in the file" })
    .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask before --prune" })
    .option("json", { type: "boolean", default: false, describe: "the steps as JSON" })
    .example("robur apply -f unikernels.toml --dry-run", "what would it do?");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const { file, dryRun, prune, yes, json } = flags;
  const wanted = parseDeclaration(read(file), file === "-" ? "standard input" : file);
  const client = connect(flags.host);
  const directory = file === "-" ? process.cwd() : dirname(resolve(file));
  using images = await lookAtImages(
    client,
    wanted.unikernels.map(({ image }) => image),
    directory,
  );
  const { policies } = await ask(client, client.api.policies.get());
  const { networks } = await ask(client, client.api.networks.get());
  const known = new Set(networks.map(({ name }) => name));
  const actual = { unikernels: await listUnikernels(client), policies };
  const steps = planApply(wanted, actual, { images: images.views, networks: known, prune });
  if (json) print(`${JSON.stringify(steps, null, 2)}\n`);
  if (steps.length === 0) return say("everything is as it should be");
  if (dryRun) {
    if (!json) print(steps.map((step) => `would ${formatStep(step)}\n`).join(""));
    return;
  }
  const gone = steps.filter((step) => step.do === "remove").map(({ name }) => name);
  const command = `robur apply --yes ${argv.map(shellWord).join(" ")}`;
  if (gone.length > 0 && !confirm(`remove ${gone.join(", ")} for good?`, yes, command)) {
    say("nothing was changed");
    process.exitCode = 1;
    return;
  }
  await performAll(client, steps, images);
}

const say = (text: string) => printError(`${text}\n`);

function read(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`can't read ${file}`, { why });
  }
}

/** Goes on when a step is refused: the others are as right as they were. */
async function performAll(client: Client, steps: readonly Step[], images: LookedAt): Promise<void> {
  for (const step of steps) {
    try {
      const failure = await perform(client, step, images);
      say(`${formatStep(step)}: ${failure === undefined ? "done" : "failed"}`);
      if (failure === undefined) continue;
      say(`  ${failure}`);
    } catch (error) {
      // Without a server there is nothing to go on with.
      if (!(error instanceof RoburError) || (error instanceof ClientError && error.code === "no-server"))
        throw error;
      say(`${formatStep(step)}: refused`);
      printError(formatError(error));
    }
    process.exitCode = 1;
  }
}

/** Undefined, or why what was started doesn't run. */
async function perform(client: Client, step: Step, images: LookedAt): Promise<string | undefined> {
  const { api } = client;
  switch (step.do) {
    case "set-policy":
      await ask(client, api.policies({ path: step.path === "" ? ":" : step.path }).put(step.policy as never));
      return undefined;
    case "remove-policy":
      await ask(client, api.policies({ path: step.path === "" ? ":" : step.path }).delete());
      return undefined;
    case "remove":
      await ask(client, api.unikernels({ name: step.name }).delete(undefined, { query: { force: true } }));
      return undefined;
    case "stop":
      await ask(client, api.unikernels({ name: step.name }).stop.post(undefined, { query: {} }));
      return undefined;
    case "start":
      return failureOf(
        await ask(client, api.unikernels({ name: step.name }).start.post(undefined, { query: {} })),
      );
    case "create": {
      const { name, config, start } = step;
      const request = { name, config, start, image: await images.provide(step.image) };
      return failureOf(await ask(client, api.unikernels.post(request as never)));
    }
    case "update": {
      if (step.changes.length === 0) {
        return failureOf(
          await ask(client, api.unikernels({ name: step.name }).restart.post(undefined, { query: {} })),
        );
      }
      const image = step.changes.includes("image") ? { image: await images.provide(step.image) } : {};
      const request = { config: step.config, restart: step.restart, ...image };
      return failureOf(await ask(client, api.unikernels({ name: step.name }).patch(request as never)));
    }
  }
}

function failureOf(answer: unknown): string | undefined {
  const { state, reason, name } = (answer as StartedAnswer).unikernel;
  if (state !== "failed" && state !== "backing-off") return undefined;
  return `${reason ?? state}; robur logs ${name} tells more`;
}
