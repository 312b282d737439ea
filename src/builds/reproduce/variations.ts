/**
 * What is changed about a job's surroundings to find out what its result depends on; the kinds are reprotest's. Each
 * is one part of a shell script that goes before the job's own, so that it works in any sandbox; what an orb build
 * takes from its record instead of from its surroundings is changed in the record. Pure.
 */
import preload from "./varied-libc.c" with { type: "text" };

export const VARIATIONS = [
  "environment",
  "home",
  "timezone",
  "locale",
  "umask",
  "cpus",
  "time",
  "file-order",
  "hostname",
  "user",
  "build-path",
] as const;
export type Variation = (typeof VARIATIONS)[number];

/** What each does, for people. */
export const VARIATION_TEXTS: Readonly<Record<Variation, string>> = {
  environment: "a variable more, and a directory more on PATH",
  home: "HOME is a directory that doesn't exist",
  timezone: "TZ is GMT-14",
  locale: "LC_ALL is another one, whose order of letters differs where it is installed",
  umask: "umask 0002",
  cpus: "one processor only",
  time: "the clock is 398 days and some hours ahead",
  "file-order": "directories are listed backwards",
  hostname: "another host name",
  user: "another user",
  "build-path": "another directory",
};

/** A job with some of its surroundings changed. */
export interface VariedJob {
  /** Becomes script.sh. */
  readonly script: string;
  /** Beside it. Their names begin with a dot, so they are no output. */
  readonly files: readonly { readonly name: string; readonly content: Uint8Array }[];
}

const OWN_SCRIPT = ".job.sh";
const LIBRARY_SOURCE = ".varied-libc.c";
const OTHER_PLACE = "/tmp/varied-build-path/with another/place";

/**
 * The script that changes what it can and says on the console what it can't, on lines `[varied] NAME` and
 * `[not varied] NAME: why`; then the job's own runs, and its status is the script's.
 */
export function variedJob(script: string, variations: readonly Variation[]): VariedJob {
  const text = new TextEncoder();
  const has = (name: Variation) => variations.includes(name);
  const isPreloaded = has("time") || has("file-order");
  return {
    script: [
      "#!/bin/sh",
      ...(has("environment")
        ? [
            "export ROBUR_CAPTURE_ENVIRONMENT=i_capture_the_environment",
            "PATH=$PATH:/i_capture_the_path",
            say("environment"),
          ]
        : []),
      ...(has("home") ? ["export HOME=/nonexistent/second-build", say("home")] : []),
      ...(has("timezone") ? ["export TZ=GMT-14", say("timezone")] : []),
      ...(has("locale") ? LOCALE : []),
      ...(has("umask") ? ["umask 0002", say("umask")] : []),
      ...(has("hostname") ? HOSTNAME : []),
      ...(isPreloaded ? preloading(has("time"), has("file-order")) : []),
      "run=",
      ...(has("cpus") ? CPUS : []),
      ...(has("user") ? USER : []),
      `chmod +x ${OWN_SCRIPT}`,
      ...(has("build-path") ? ELSEWHERE : [`exec $run ./${OWN_SCRIPT}`]),
      "",
    ].join("\n"),
    files: [
      { name: OWN_SCRIPT, content: text.encode(script) },
      ...(isPreloaded ? [{ name: LIBRARY_SOURCE, content: text.encode(preload) }] : []),
    ],
  };
}

const say = (name: Variation) => `echo "[varied] ${name}"`;
const unsaid = (name: Variation, why: string) => `echo "[not varied] ${name}: ${why}"`;

const LOCALE = [
  "if locale -a 2>/dev/null | grep -qi '^et_EE.utf-\\?8$'; then export LC_ALL=et_EE.UTF-8",
  'elif [ "${LC_ALL:-${LANG:-C}}" = C ]; then export LC_ALL=C.UTF-8; else export LC_ALL=C; fi',
  say("locale"),
];

const HOSTNAME = [
  "if hostname varied-host 2>/dev/null; then",
  `  ${say("hostname")}`,
  `else ${unsaid("hostname", "the sandbox doesn't let it be set")}; fi`,
];

const CPUS = [
  "cpu=$(awk '/^Cpus_allowed_list/ { split($2, a, /[,-]/); print a[1] }' /proc/self/status)",
  'if taskset -c "$cpu" true 2>/dev/null; then',
  `  run="taskset -c $cpu"; ${say("cpus")}`,
  `else ${unsaid("cpus", "taskset is missing")}; fi`,
];

const USER = [
  "if setpriv --reuid=4711 --regid=4711 --clear-groups true 2>/dev/null; then",
  `  chown -R 4711:4711 . && run="$run setpriv --reuid=4711 --regid=4711 --clear-groups"; ${say("user")}`,
  `else ${unsaid("user", "the sandbox has no other user")}; fi`,
];

/** The results come back to the job's own directory, whatever came of it. */
const ELSEWHERE = [
  "here=$PWD",
  `mkdir -p "${OTHER_PLACE}" && cp -a . "${OTHER_PLACE}/" && cd "${OTHER_PLACE}" || exit 1`,
  say("build-path"),
  `$run ./${OWN_SCRIPT}`,
  "status=$?",
  'cp -a . "$here/" || exit 1',
  "exit $status",
];

/** Everything that is linked dynamically gets the library; a container's root can ask for that by a file. */
function preloading(isTime: boolean, isOrder: boolean): string[] {
  const names = [...(isTime ? ["time" as const] : []), ...(isOrder ? ["file-order" as const] : [])];
  const flags = [...(isTime ? ["-DVARY_TIME"] : []), ...(isOrder ? ["-DVARY_FILE_ORDER"] : [])];
  return [
    `if cc -O1 -shared -fPIC ${flags.join(" ")} -o /tmp/varied-libc.so ${LIBRARY_SOURCE} -ldl 2>/dev/null; then`,
    "  { echo /tmp/varied-libc.so >/etc/ld.so.preload; } 2>/dev/null || export LD_PRELOAD=/tmp/varied-libc.so",
    ...names.map((name) => `  ${say(name)}`),
    `else ${names.map((name) => unsaid(name, "there is no C compiler in the sandbox")).join("; ")}; fi`,
  ];
}

/** Which of them took effect, from what the script said on the console. */
export function readVariations(console: string): {
  readonly done: readonly Variation[];
  readonly left: readonly { readonly variation: Variation; readonly why: string }[];
} {
  const isOne = (name: string): name is Variation => (VARIATIONS as readonly string[]).includes(name);
  const done = [...console.matchAll(/^\[varied\] ([a-z-]+)\r?$/gm)].flatMap(([, name = ""]) =>
    isOne(name) ? [name] : [],
  );
  const left = [...console.matchAll(/^\[not varied\] ([a-z-]+): (.*?)\r?$/gm)].flatMap(
    ([, name = "", why = ""]) => (isOne(name) ? [{ variation: name, why }] : []),
  );
  return { done, left };
}

/**
 * The environment that an orb build takes from its record, changed where the variations ask for it: orb keeps nothing
 * of what its own surroundings say. The place of a switch is in OPAMROOT, PREFIX and SWITCH_PATH.
 */
export function variedRecord(environment: string, variations: readonly Variation[]): string {
  const changes = new Map<string, (value: string | undefined) => string>();
  for (const variation of variations) {
    if (variation === "environment") {
      changes.set("ROBUR_CAPTURE_ENVIRONMENT", () => "i_capture_the_environment");
      changes.set("PATH", (value) => `${value ?? "/usr/bin:/bin"}:/i_capture_the_path`);
    }
    // opam itself needs a home that is there; it is another one all the same.
    if (variation === "home") changes.set("HOME", () => "/tmp");
    if (variation === "timezone") changes.set("TZ", () => "GMT-14");
    if (variation === "locale") changes.set("LC_ALL", () => "C.UTF-8");
    if (variation === "build-path") {
      changes.set("SWITCH_PATH", (value) => `${value ?? "switch"}-varied`);
      changes.set("PREFIX", (value) => `${value ?? "/tmp/switch"}-varied`);
    }
  }
  const lines = environment.split("\n").map((line) => {
    const at = line.indexOf("=");
    const [name, value] = at === -1 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
    const change = changes.get(name);
    changes.delete(name);
    return change === undefined ? line : `${name}=${change(value)}`;
  });
  const added = [...changes].map(([name, change]) => `${name}=${change(undefined)}`);
  // What orb adds at the end tells of the system: new variables go before it.
  const record = lines.findIndex((line) => line.startsWith("SWITCH_PATH="));
  return lines.toSpliced(record === -1 ? lines.length : record, 0, ...added).join("\n");
}
