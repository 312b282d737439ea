/** A job's definition as a form: a new one, or one that is there. */
import type { Platform } from "../../src/builds/api.ts";
import { jobSettingsPath } from "../../src/server/builds/run-paths.ts";
import { jobPath } from "../../src/server/builds/paths.ts";
import type { JobName } from "../../src/store/api.ts";
import { Area, type FormState, Text } from "../components/form.tsx";
import { Page, type PageContext } from "../components/layout.tsx";
import { Complain } from "./gate.tsx";

export interface JobSettingsProps {
  readonly page: PageContext;
  /** Undefined for a new job. */
  readonly name: JobName | undefined;
  readonly form: FormState;
  /** Those that are known, to choose from. */
  readonly platforms: readonly Platform[];
  /** The script is too large to be changed here: how many bytes it has. */
  readonly largeScript: number | undefined;
  /** It was changed a moment ago. */
  readonly isSaved: boolean;
}

const WHEN = [
  ["daily", "Every day"],
  ["hourly", "Every hour"],
  ["weekly", "Every week"],
  ["cron", "By a line of cron"],
  ["never", "Only when somebody starts it"],
] as const;

const NETWORK = [
  ["all", "Everything"],
  ["hosts", "These hosts only"],
  ["none", "Nothing"],
] as const;

const CATCH_UP = [
  ["once", "Build once when the server is back"],
  ["skip", "Wait for the next time"],
] as const;

const ADVANCED = [
  "repositories",
  "timeout",
  "copies",
  "jitter",
  "memory",
  "cpus",
  "processes",
  "disk",
  "hosts",
];

export function JobSettingsPage(props: JobSettingsProps) {
  const { page, name, form, isSaved } = props;
  const title = name === undefined ? "New job" : `Settings of ${name}`;
  return (
    <Page page={page} title={title}>
      <p class="crumb">
        <a href="/queue">Queue</a>
        {name !== undefined && (
          <>
            {" "}
            · <a href={jobPath(name)}>{name}</a>
          </>
        )}
      </p>
      <div class="page-head">
        <div>
          <h1 class="break">{title}</h1>
          {name === undefined && (
            <p class="muted">A job is a script or an opam package that is built again and again.</p>
          )}
        </div>
      </div>
      <div class="stack narrow">
        {isSaved && (
          <p class="notice" role="status">
            The job was changed. What runs goes on as it began.
          </p>
        )}
        <form class="card" method="post" action={name === undefined ? "/jobs/new" : jobSettingsPath(name)}>
          <Complain complaint={form.complaint} />
          <div class="fields">
            {name === undefined && (
              <Text
                form={form}
                name="name"
                label="Name"
                help="Letters, digits and . _ + -, such as dns-primary."
                required
              />
            )}
            <Work {...props} />
            <Text form={form} name="platforms" label="Platforms" help={platformHelp(props)} />
            <div class="pair">
              <Pick form={form} name="when" label="When" options={WHEN} />
              <Text
                form={form}
                name="cron"
                label="Line of cron"
                help="Only for that choice: 0 3 * * * is daily at three."
              />
            </div>
            <Check form={form} name="enabled" label="Build it when it is due" />
          </div>
          <details class="advanced" open={ADVANCED.some((field) => form.errors[field] !== undefined)}>
            <summary>Time-out, limits, network, copies, repositories</summary>
            <Advanced form={form} />
          </details>
          <div class="submit">
            <button class="button main" type="submit">
              {name === undefined ? "Create the job" : "Save"}
            </button>
            <a href="/queue">Leave it</a>
          </div>
        </form>
        {name !== undefined && <Forget name={name} />}
      </div>
    </Page>
  );
}

function platformHelp({ platforms }: JobSettingsProps): string {
  const known = platforms.length === 0 ? "such as debian-12" : `known: ${platforms.join(", ")}`;
  return `With spaces between them; ${known}. A script needs one; a package without any is built on all.`;
}

function Work({ form, largeScript }: JobSettingsProps) {
  const kind = form.values["kind"] === "orb" ? "orb" : "script";
  return (
    <fieldset class="work">
      <legend>What it does</legend>
      <label class="check">
        <input type="radio" name="kind" value="orb" checked={kind === "orb"} />
        <span>Builds an opam package, reproducibly, with orb</span>
      </label>
      <Text
        form={form}
        name="package"
        label="Package"
        help="For that choice: its name, or name.version, such as dns-primary-git."
      />
      <label class="check">
        <input type="radio" name="kind" value="script" checked={kind === "script"} />
        <span>Runs a script</span>
      </label>
      {largeScript === undefined ? (
        <Area
          form={form}
          name="script"
          label="Script"
          rows={12}
          help="For that choice: begins with #!/bin/sh or the like, and leaves its results in the directory it is started in; those in bin/ are its binaries."
        />
      ) : (
        <p class="small muted">
          The script has {largeScript} bytes, too many to be changed here: <code>robur job edit</code> can. It
          stays as it is.
        </p>
      )}
    </fieldset>
  );
}

function Advanced({ form }: { form: FormState }) {
  return (
    <div class="fields">
      <div class="pair">
        <Text form={form} name="timeout" label="Time-out" help="90 s, 60 min, 2 h: at most 7 d." />
        <Text
          form={form}
          name="copies"
          label="Builds each time"
          help="1 to 16. Two show whether it is reproducible."
        />
      </div>
      <div class="pair">
        <Text
          form={form}
          name="jitter"
          label="Put off by up to"
          help="So that not all jobs begin together: 30 min."
        />
        <Pick form={form} name="catch-up" label="After a time without a server" options={CATCH_UP} />
      </div>
      <div class="pair">
        <Text form={form} name="memory" label="Memory in MiB" help="Empty: no limit." />
        <Text form={form} name="disk" label="Disk in MiB" help="Empty: no limit." />
      </div>
      <div class="pair">
        <Text form={form} name="cpus" label="Processors" help="Also in parts: 1.5. Empty: no limit." />
        <Text form={form} name="processes" label="Processes" help="Empty: no limit." />
      </div>
      <Pick form={form} name="network" label="What it may reach" options={NETWORK} />
      <Area form={form} name="hosts" label="Hosts" help="For that choice, one a line: opam.ocaml.org" />
      <Area
        form={form}
        name="repositories"
        label="opam repositories"
        help="Of a package, one a line, the most important first: default:https://opam.ocaml.org. Empty: those of the server's template."
      />
    </div>
  );
}

interface FieldProps {
  readonly form: FormState;
  readonly name: string;
  readonly label: string;
}

function Pick({
  form,
  name,
  label,
  options,
}: FieldProps & { options: readonly (readonly [string, string])[] }) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <select id={name} name={name}>
        {options.map(([value, word]) => (
          <option key={value} value={value} selected={form.values[name] === value}>
            {word}
          </option>
        ))}
      </select>
    </div>
  );
}

function Check({ form, name, label }: FieldProps) {
  return (
    <label class="check">
      <input type="checkbox" name={name} value="on" checked={form.values[name] === "on"} />
      <span>{label}</span>
    </label>
  );
}

function Forget({ name }: { name: JobName }) {
  return (
    <details class="card">
      <summary>Remove this job</summary>
      <form class="after" method="post" action={`/jobs/${encodeURIComponent(name)}/forget`}>
        <p class="small">It isn't built any more, and what waits of it is dropped. Its builds stay.</p>
        <p class="after">
          <button class="button small danger" type="submit">
            Remove the job
          </button>
        </p>
      </form>
    </details>
  );
}
