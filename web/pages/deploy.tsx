/** From an image to a unikernel, in two steps: the file, and a form made of what it says of itself. */
import type { ImageView } from "../../src/orchestrator/api.ts";
import { Area, Choice, type FormState, Text } from "../components/form.tsx";
import { formatSize } from "../components/format.ts";
import { Ago, Page, type PageContext } from "../components/layout.tsx";
import { Complain, type Complaint } from "./gate.tsx";

interface UploadProps {
  readonly page: PageContext;
  readonly images: readonly ImageView[];
  readonly complaint?: Complaint | undefined;
}

export function UploadPage({ page, images, complaint }: UploadProps) {
  return (
    <Page page={page} title="Deploy">
      <div class="page-head">
        <div>
          <h1>Deploy a unikernel</h1>
          <p class="muted">First its image: a file that MirageOS built for hvt or spt.</p>
        </div>
      </div>
      <div class="stack narrow">
        <Complain complaint={complaint} />
        <form class="card" method="post" action="/deploy" enctype="multipart/form-data" data-island="upload">
          <div class="drop">
            <div class="field">
              <label for="image">Image file</label>
              <input id="image" name="image" type="file" required aria-describedby="image-help" />
              <span class="help" id="image-help">
                Such as website.hvt or website.spt. Nothing is started yet.
              </span>
            </div>
          </div>
          <div class="submit">
            <button class="button main" type="submit">
              Upload
            </button>
            <span data-progress />
          </div>
        </form>
        {images.length > 0 && (
          <section class="card" aria-labelledby="kept">
            <h2 id="kept">Or one that is here already</h2>
            <ul class="events">
              {images.slice(0, 20).map((image) => (
                <li key={image.sha256}>
                  <Ago at={image.createdAt} page={page} />
                  <span class="break">
                    <a href={`/deploy/${image.sha256}`}>
                      <code>{image.sha256.slice(0, 12)}</code>
                    </a>{" "}
                    {image.target}, {formatSize(image.size)}
                    {image.usedBy.length > 0 && (
                      <span class="muted">, used by {image.usedBy.join(", ")}</span>
                    )}
                  </span>
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
    </Page>
  );
}

interface ConfigureProps {
  readonly page: PageContext;
  readonly image: ImageView;
  readonly networks: readonly string[];
  readonly volumes: readonly string[];
  readonly form: FormState;
}

export function ConfigurePage({ page, image, networks, volumes, form }: ConfigureProps) {
  const nets = image.devices.filter(({ type }) => type === "net");
  const blocks = image.devices.filter(({ type }) => type === "block");
  return (
    <Page page={page} title="Configure">
      <p class="crumb">
        <a href="/deploy">Deploy</a>
      </p>
      <div class="page-head">
        <div>
          <h1>Configure the unikernel</h1>
          <p class="muted break">
            {image.target} image, {formatSize(image.size)}, <code>{image.sha256.slice(0, 12)}</code>.{" "}
            {wants(nets.length, blocks.length)}
          </p>
        </div>
      </div>
      <form class="card narrow" method="post" action={`/deploy/${image.sha256}`}>
        <Complain complaint={form.complaint} />
        <div class="fields">
          <Text form={form} name="name" label="Name" help="Letters, digits, dots and dashes." required />
          <Area
            form={form}
            name="args"
            label="Arguments"
            help="One a line, such as --ipv4=10.0.42.7/24. Its name and address are told to it anyway."
          />
          {nets.map(({ name }) => (
            <Choice
              key={name}
              form={form}
              name={`net.${name}`}
              label={`Network for ${name}`}
              options={networks}
              none="No network is there yet: robur network create"
            />
          ))}
          {blocks.map(({ name }) => (
            <Choice
              key={name}
              form={form}
              name={`block.${name}`}
              label={`Volume for ${name}`}
              options={volumes}
              none="No volume is there yet: robur volume create"
            />
          ))}
        </div>
        <Advanced form={form} hasNetwork={nets.length > 0} />
        <div class="submit">
          <button class="button main" type="submit">
            Create and start
          </button>
          <a href="/deploy">Another image</a>
        </div>
      </form>
    </Page>
  );
}

const ADVANCED = ["memory", "cpus", "restart", "priority", "publish", "replace"];

function Advanced({ form, hasNetwork }: { form: FormState; hasNetwork: boolean }) {
  return (
    <details class="advanced" open={ADVANCED.some((name) => form.errors[name] !== undefined)}>
      <summary>Memory, processors, restarts, ports</summary>
      <div class="fields">
        <div class="pair">
          <Text form={form} name="memory" label="Memory in MiB" help="Reserved for it while it runs." />
          <Text
            form={form}
            name="cpus"
            label="Processors"
            help="Numbers with commas. Empty: robur chooses."
          />
        </div>
        <div class="pair">
          <div class="field">
            <label for="restart">When it ends</label>
            <select id="restart" name="restart">
              {RESTARTS.map(([value, word]) => (
                <option key={value} value={value} selected={form.values["restart"] === value}>
                  {word}
                </option>
              ))}
            </select>
          </div>
          <Text
            form={form}
            name="priority"
            label="Start order"
            help="0 to 1000. Smaller numbers start earlier after a reboot."
          />
        </div>
        {hasNetwork && (
          <Area
            form={form}
            name="publish"
            label="Published ports"
            help="One a line: 8080:80, or 53:53/udp. The first is this machine's."
          />
        )}
        <label class="check">
          <input type="checkbox" name="replace" value="on" checked={form.values["replace"] === "on"} />
          <span>Replace a unikernel of this name, once all about the new one is known to be in order</span>
        </label>
      </div>
    </details>
  );
}

const RESTARTS = [
  ["on-failure", "Start it again if it failed"],
  ["always", "Start it again always"],
  ["no", "Leave it"],
] as const;

function wants(nets: number, blocks: number): string {
  const parts = [
    nets > 0 ? `${nets === 1 ? "a network" : `${nets} networks`}` : "",
    blocks > 0 ? `${blocks === 1 ? "a volume" : `${blocks} volumes`}` : "",
  ].filter((part) => part !== "");
  return parts.length === 0 ? "It wants no devices." : `It wants ${parts.join(" and ")}.`;
}
