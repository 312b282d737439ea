/** Which other server a command means. */
import { UsageError } from "../../lib/errors.ts";
import { type RemoteAddress, parseRemoteAddress } from "../../store/remotes/remote-address.ts";
import { PUBLIC_REMOTE } from "../../store/remotes/remotes.ts";
import { ClientError } from "./client-error.ts";
import { ask, connect } from "./connect.ts";

export interface ChosenRemote {
  readonly address: RemoteAddress;
  /** As it was named, with the password where one is in it. */
  readonly url: string;
}

/** A token of the other server, beside the name and password that an address can have. */
const TOKEN = "ROBUR_REMOTE_TOKEN";

/** An address is taken as it is; a name is looked up at the own server. Throws ClientError, UsageError, RemoteError. */
export async function chooseOther(text: string | undefined, host: string | undefined): Promise<ChosenRemote> {
  if (text !== undefined && /^https?:\/\//i.test(text)) return chosen(text);
  const remotes = await listed(host);
  const found = remotes.find(({ name, isDefault }) => (text === undefined ? isDefault : name === text));
  if (found !== undefined) return chosen(found.url);
  throw new UsageError(text === undefined ? "there is no default remote" : `there is no remote ${text}`, {
    why: `there is ${remotes.map(({ name }) => name).join(", ")}`,
    hint: "robur remote ls",
  });
}

/** The public one where no server runs that could know others. */
async function listed(host: string | undefined) {
  try {
    const client = connect(host);
    return (await ask(client, client.api.remotes.get())).remotes;
  } catch (error) {
    if (error instanceof ClientError && error.code === "no-server" && host === undefined)
      return [PUBLIC_REMOTE];
    throw error;
  }
}

function chosen(text: string): ChosenRemote {
  const address = parseRemoteAddress(text);
  const token = process.env[TOKEN];
  const authorization = address.authorization ?? (token ? `Bearer ${token}` : undefined);
  return { url: text, address: { ...address, authorization } };
}
