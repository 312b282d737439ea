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
  home: "HOME is another directory",
  timezone: "TZ is GMT-14",
  locale: "LC_ALL is et_EE.UTF-8, whose order of letters is another one",
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
  readonly script: Uint8Array;
  /** Beside it, until it begins. Their names begin with a dot, so they are no output. */
  readonly files: readonly { readonly name: string; readonly content: Uint8Array }[];
  /** The sandbox's, where it is to be another one. */
  readonly hostname: string | undefined;
}

const OWN_SCRIPT = ".job.sh";
const LIBRARY_SOURCE = ".varied-libc.c";
const OTHER_HOST = "varied-host";

/**
 * Where things lie that the job is not to find in its directory. A job without a sandbox has nothing but its directory:
 * what is elsewhere would be everybody's, and would stay.
 */
export const ASIDE = [
  'case "${ROBUR_UNSAFE_JOB-}" in "") aside=/tmp/robur-varied;; *) aside=$PWD/.robur-varied;; esac',
  'mkdir "$aside" || exit 125',
];

/**
 * The script that changes what it can and says on the console what it can't, on lines `[varied] NAME` and
 * `[not varied] NAME: why`; then the job's own runs by its usual name, and its status is the script's. Without
 * variations it is the job's own script, byte for byte. `before`: lines of shell that run while all is as usual.
 */
export function variedJob(
  script: Uint8Array,
  variations: readonly Variation[],
  before: readonly string[] = [],
): VariedJob {
  if (variations.length + before.length === 0) return { script, files: [], hostname: undefined };
  const has = (name: Variation) => variations.includes(name);
  const isPreloaded = has("time") || has("file-order");
  // As the sandbox starts it.
  const isProgram = script[0] === 0x23 && script[1] === 0x21;
  const start = `$run ${isProgram ? "" : "/bin/sh "}"$PWD/script.sh"`;
  const lines = [
    "#!/bin/sh",
    ...ASIDE,
    ...before,
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
    // The shell has this file open, whatever its name is.
    `chmod +x ${OWN_SCRIPT} && mv ${OWN_SCRIPT} script.sh || exit 125`,
    ...(has("build-path") ? ELSEWHERE : []),
    ...(has("user") ? USER : []),
    ...(has("build-path") ? [start, ...BACK] : [`exec ${start}`]),
    "",
  ];
  return {
    script: new TextEncoder().encode(lines.join("\n")),
    files: [
      { name: OWN_SCRIPT, content: script },
      ...(isPreloaded ? [{ name: LIBRARY_SOURCE, content: new TextEncoder().encode(preload) }] : []),
    ],
    hostname: has("hostname") ? OTHER_HOST : undefined,
  };
}

const say = (name: Variation) => `echo "[varied] ${name}"`;
const unsaid = (name: Variation, why: string) => `echo "[not varied] ${name}: ${why}"`;

/** Estonian has z before t, and small letters beside large ones. */
const LOCALE = [
  "if locale -a 2>/dev/null | grep -qi '^et_EE.utf-\\?8$'; then other=et_EE.UTF-8",
  'else mkdir "$aside/locale"; localedef -i et_EE -f UTF-8 "$aside/locale/et_EE.UTF-8" >/dev/null 2>&1',
  '  if [ -s "$aside/locale/et_EE.UTF-8/LC_COLLATE" ]; then other=et_EE.UTF-8; export LOCPATH="$aside/locale"',
  "  else other=; fi; fi",
  'if [ -n "$other" ]; then',
  `  export LC_ALL=$other LANGUAGE=et_EE.UTF-8:fr; ${say("locale")}`,
  `else ${unsaid("locale", "there is no other one, and no package locales to make one of")}; fi`,
];

/** Who makes the sandbox has given it this name; without a sandbox it is the machine's. */
const HOSTNAME = [
  `if [ "$(uname -n)" = ${OTHER_HOST} ]; then ${say("hostname")}`,
  `else ${unsaid("hostname", "without a sandbox it would be changed for the whole machine")}; fi`,
];

const CPUS = [
  "cpu=$(awk '/^Cpus_allowed_list/ { split($2, a, /[,-]/); print a[1] }' /proc/self/status)",
  'if ! taskset -c "$cpu" true 2>/dev/null; then',
  `  ${unsaid("cpus", "taskset is missing")}`,
  'elif [ "$(nproc 2>/dev/null)" = 1 ]; then',
  `  ${unsaid("cpus", "there is one processor only")}`,
  `else run="taskset -c $cpu"; ${say("cpus")}; fi`,
];

const USER = [
  "other='setpriv --reuid=4711 --regid=4711 --clear-groups'",
  'if $other true 2>/dev/null && chown -R 4711:4711 . "$aside" && $other test -w . -a -r "$PWD/script.sh"; then',
  `  run="$run $other"; ${say("user")}`,
  `else ${unsaid("user", "there is no other user here")}; fi`,
];

const ELSEWHERE = [
  "here=$PWD; there=$aside/at-another/place",
  'mkdir -p "$there" && mv script.sh "$there/" && cd "$there" || exit 125',
  say("build-path"),
];

/** The results come back to the job's own directory, whatever came of it. */
const BACK = ["status=$?", 'cp -a . "$here/" || exit 125', "exit $status"];

/**
 * Whatever is linked dynamically and inherits the environment gets the library. It is never written into the system's
 * own list of such libraries: without a sandbox that would be the whole machine's.
 */
function preloading(isTime: boolean, isOrder: boolean): string[] {
  const names = [...(isTime ? ["time" as const] : []), ...(isOrder ? ["file-order" as const] : [])];
  const flags = [...(isTime ? ["-DVARY_TIME"] : []), ...(isOrder ? ["-DVARY_FILE_ORDER"] : [])];
  const not = (why: string) => names.map((name) => unsaid(name, why)).join("; ");
  return [
    `mv ${LIBRARY_SOURCE} "$aside/varied-libc.c" && library=$aside/varied-libc.so`,
    "if ! command -v cc >/dev/null; then",
    `  ${not("there is no C compiler in the sandbox")}`,
    `elif cc -O1 -shared -fPIC ${flags.join(" ")} -o "$library" "$aside/varied-libc.c" -ldl 2>/dev/null &&`,
    // What can't be loaded is complained of, by the loader or by the program.
    '  [ -z "$(LD_PRELOAD=$library ls "$library" 2>&1 >/dev/null)" ]; then',
    `  export LD_PRELOAD="$library"; ${names.map(say).join("; ")}`,
    `else ${not("the library that changes it can't be made here")}; fi`,
  ];
}

/** Shell that adds what the variations have set to a record, from which an orb build takes its environment. */
export function exportTo(file: string): string[] {
  return ["LD_PRELOAD", "LC_ALL", "LANGUAGE", "LOCPATH"].map(
    (name) => `[ -z "\${${name}-}" ] || printf '\\n%s=%s' ${name} "$${name}" >>"${file}"`,
  );
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
