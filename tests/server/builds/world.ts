/** A server's worth of builds, made up but like real ones: months of daily runs, on two platforms, some that fail. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { generateExport } from "../../opam/generate-export.ts";

/** Sends a form to a path, and gives the answer. */
export type Send = (path: string, form: FormData) => Promise<Response>;

const HELLO = join(import.meta.dir, "../../../assets/hello");
const DAY = 86_400_000;

const README = `# Primary DNS server

Serves zones from a *git* repository, with **DNSSEC** and notifications. <b>No shell</b> inside.

## Running it

| argument | meaning |
|---|---|
| \`--ipv4\` | its address |
| \`--remote\` | where the zones are |

\`\`\`sh
solo5-hvt --net:service=tap100 -- primary-git.hvt --ipv4=10.0.42.2/24
\`\`\`

- [x] survives restarts
- [ ] makes coffee, see [the project](https://mirage.io/) or [a file](doc/more.md)

![a picture](https://example.org/x.png)
`;

interface JobPlan {
  readonly name: string;
  readonly target: "hvt" | "spt" | undefined;
  readonly file: string;
  readonly platforms: readonly string[];
  /** Runs in days before now; a failing one where \`fails\` says so. */
  readonly days: readonly number[];
  readonly fails: (day: number, platform: string) => boolean;
  readonly readme?: string;
}

const daily = (count: number, each = 1) => Array.from({ length: count }, (_, i) => (count - 1 - i) * each);

export const PLANS: readonly JobPlan[] = [
  {
    name: "dns-primary-git",
    target: "hvt",
    file: "bin/primary-git.hvt",
    platforms: ["debian-12", "freebsd-14"],
    days: daily(24),
    fails: (day, platform) => day === 9 || (platform === "freebsd-14" && day < 4),
    readme: README,
  },
  {
    name: "tlstunnel",
    target: "spt",
    file: "bin/tlstunnel.spt",
    platforms: ["debian-12"],
    days: daily(16),
    fails: (day) => day === 0,
  },
  {
    name: "static-website",
    target: "hvt",
    file: "bin/https.hvt",
    platforms: ["debian-12"],
    days: daily(12, 2),
    fails: () => false,
  },
  {
    name: "albatross",
    target: undefined,
    file: "bin/albatross.deb",
    platforms: ["debian-12", "ubuntu-24.04"],
    days: daily(10),
    fails: () => false,
  },
  {
    name: "never-good",
    target: "hvt",
    file: "bin/never.hvt",
    platforms: ["debian-12"],
    days: daily(3),
    fails: () => true,
  },
  {
    name: "resting-since-spring",
    target: "hvt",
    file: "bin/resting.hvt",
    platforms: ["debian-11"],
    days: [200, 199],
    fails: () => false,
  },
];

/** Sends them all, oldest first. \`now\`: milliseconds since 1970. */
export async function fillWorld(send: Send, now: number): Promise<void> {
  for (const plan of PLANS) {
    for (const day of plan.days) {
      for (const platform of plan.platforms) await sendBuild(send, plan, platform, day, now);
    }
  }
}

async function sendBuild(
  send: Send,
  plan: JobPlan,
  platform: string,
  day: number,
  now: number,
): Promise<void> {
  const isBad = plan.fails(day, platform);
  const startedAt = now - day * DAY - 3_600_000;
  // Inputs change every third day, so that some runs repeat what was.
  const step = Math.floor(day / 3);
  const form = new FormData();
  const seconds = 300 + ((day * 37) % 90);
  form.append(
    "build",
    JSON.stringify({
      platform,
      startedAt,
      finishedAt: startedAt + seconds * 1000,
      result: isBad
        ? day === 9
          ? { kind: "message", text: "timeout" }
          : { kind: "exited", code: 2 }
        : { kind: "exited", code: 0 },
      worker: "worker-1",
      script: `#!/bin/sh\nset -e\norb build --date=2024-01-01 ${plan.name}\n`,
    }),
  );
  form.append("console", new Blob([consoleText(plan.name, isBad)]), "console");
  if (!isBad) form.append(plan.file, new Blob([binary(plan, platform, step, day)]), "file");
  form.append(
    "opam-switch",
    new Blob([
      generateExport({
        seed: plan.name.length,
        upgraded: [step % 40, (step + 7) % 40],
        packages: 60 + plan.name.length,
      }),
    ]),
    "f",
  );
  form.append(
    "build-environment",
    new Blob([`OS=linux\nOS_DISTRIBUTION=debian\nSWITCH_PATH=/tmp/orb-${step}`]),
    "f",
  );
  form.append("system-packages", new Blob([`gcc=12.2.0-${step % 3}\nlibc6=2.36-9\n`]), "f");
  if (plan.readme !== undefined) form.append("README.md", new Blob([plan.readme]), "f");
  const answer = await send(`/api/v1/jobs/${plan.name}/builds`, form);
  if (answer.status !== 201) throw new Error(`${plan.name}: ${answer.status} ${await answer.text()}`);
}

function binary(plan: JobPlan, platform: string, step: number, day: number): Uint8Array<ArrayBuffer> {
  const front =
    plan.target === undefined ? new Uint8Array(1000) : readFileSync(join(HELLO, `hello.${plan.target}`));
  // freebsd gives the same output as debian, so both confirm each other.
  const mark = plan.target === undefined ? platform : "";
  // One that isn't reproducible: something of the day gets into it.
  const rest = new TextEncoder().encode(
    `${plan.name} ${mark} ${step} ${plan.name === "static-website" ? day : ""}`.padEnd(
      200_000 + ((step * 7919) % 9000),
      ".",
    ),
  );
  return new Uint8Array(Buffer.concat([front, rest]));
}

function consoleText(name: string, isBad: boolean): string {
  const lines = Array.from(
    { length: 80 },
    (_, i) => `${(i * 1.7).toFixed(3)}s:\x1b[32m[${i}/80]\x1b[0m build ${name}-lib-${i}`,
  );
  if (isBad)
    lines.push(
      '140.100s:\x1b[31;1m[ERROR]\x1b[0m The compilation of mirage-crypto failed at "dune build -p mirage-crypto".',
      "140.200s:# File \"src/native/misc.c\", line 42: error: expected ';' <before> 'return'",
      "141.000s:exit 2",
    );
  else lines.push("140.000s:\x1b[1mDone.\x1b[0m");
  return `${lines.join("\n")}\n`;
}
