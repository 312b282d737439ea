/** An image and what to make of it in one request: for CI jobs, `curl -F name=… -F image=@… -F config=…`. */
import { Value } from "@sinclair/typebox/value";
import type { ImageView, UnikernelConfig } from "../../orchestrator/api.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { HttpError } from "../http/http-error.ts";
import { contentStream, fieldText, readMultipart } from "../http/multipart.ts";
import { actorFor, granted, newName } from "./ask.ts";
import { startedJson } from "./console-json.ts";
import { Config } from "./schemas.ts";

export interface UploadForm {
  readonly fields: ReadonlyMap<string, string>;
  /** The file `image`, kept by the orchestrator; undefined where none was sent. */
  readonly image: ImageView | undefined;
}

/** Reads a form whose file `image` goes to the orchestrator as it comes in. Throws HttpError. */
export async function readUploadForm({ orchestrator }: ServerContext, request: Request): Promise<UploadForm> {
  const fields = new Map<string, string>();
  let image: ImageView | undefined;
  for await (const part of readMultipart(request)) {
    if (part.filename === undefined) fields.set(part.name, await fieldText(part));
    else if (part.name === "image" && part.filename !== "") {
      image = granted(await orchestrator.images.put(actorFor(request), contentStream(part)));
    }
  }
  return { fields, image };
}

/** The route's work: the answer is that of a create. */
export async function deployUpload(context: ServerContext, request: Request): Promise<Response> {
  const actor = actorFor(request);
  const { fields, image } = await readUploadForm(context, request);
  const name = fields.get("name");
  if (name === undefined || image === undefined) {
    throw new HttpError(422, "invalid", `the part ${name === undefined ? "name" : "image"} is missing`, {
      hint: `curl -F name=hello -F image=@hello.spt ${new URL(request.url).pathname}`,
    });
  }
  const wanted = {
    name: newName(name),
    image: image.sha256,
    config: readConfig(fields.get("config")),
    replace: readFlag("replace", fields.get("replace"), false),
    start: readFlag("start", fields.get("start"), true),
  };
  const started = granted(await context.orchestrator.create(actor, wanted));
  context.log("info", "deployed", {
    name,
    image: image.sha256.slice(0, 12),
    who: visitOf(request).principal.who,
  });
  return Response.json(startedJson(started), { status: 201 });
}

function readConfig(text: string | undefined): Partial<UnikernelConfig> {
  if (text === undefined || text.trim() === "") return {};
  const config = parseJson(text);
  const [complaint] = Value.Errors(Config, config);
  if (complaint !== undefined) {
    const where = complaint.path.slice(1).replaceAll("/", ".");
    throw new HttpError(422, "invalid", "the part config is not as it should be", {
      why: `${where === "" ? "" : `${where}: `}${complaint.message}`,
    });
  }
  return config as Partial<UnikernelConfig>;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new HttpError(400, "unreadable", "the part config is not valid JSON", { why: error.message });
  }
}

function readFlag(name: string, text: string | undefined, otherwise: boolean): boolean {
  if (text === undefined || text === "") return otherwise;
  if (text === "true" || text === "on") return true;
  if (text === "false") return false;
  throw new HttpError(
    422,
    "invalid",
    `the part ${name} is true or false, not ${JSON.stringify(text.slice(0, 40))}`,
  );
}
