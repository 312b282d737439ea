/** Any import, by what was asked for: the server runs them for whoever asks, a command where no server runs. */
import type { BuildId, BuildStore, ContentStore, JobName } from "../api.ts";
import type { RemoteAddress } from "../remotes/remote-address.ts";
import { importBuilderWeb } from "./builder-web.ts";
import { ImportError } from "./import-error.ts";
import { importRecords, importRemote, pullBuild } from "./records.ts";
import type { ImportEvent, ImportOptions, ImportSummary } from "./report.ts";
import type { Database } from "bun:sqlite";

export type ImportRequest =
  /** A builder-web's data directory. */
  | { readonly kind: "builder-web"; readonly path: string }
  /** A record, or the data directory of builder's server. */
  | { readonly kind: "records"; readonly path: string }
  | {
      readonly kind: "remote";
      readonly remote: RemoteAddress;
      readonly jobs: readonly JobName[] | undefined;
      readonly limit: number | undefined;
    }
  | { readonly kind: "build"; readonly remote: RemoteAddress; readonly job: JobName; readonly id: BuildId };

export interface ImportStores {
  readonly db: Database;
  readonly contents: ContentStore;
  readonly builds: BuildStore;
  readonly dataDirectory: string;
}

/** What goes over the wire, a line of JSON each: events, and at the end one of the other two. */
export type ImportLine =
  | ImportEvent
  | { readonly kind: "done"; readonly summary: ImportSummary }
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly message: string;
      readonly why?: string | undefined;
      readonly hint?: string | undefined;
    };

const running = new WeakSet<Database>();

/** Throws ImportError (busy: one at a time), RemoteError, DatabaseError. */
export async function runImport(
  stores: ImportStores,
  request: ImportRequest,
  options: ImportOptions & { readonly uploadedBy: string },
): Promise<ImportSummary> {
  if (running.has(stores.db)) {
    throw new ImportError("busy", "another import runs", { hint: "wait for its end" });
  }
  running.add(stores.db);
  try {
    const records = { ...options, builds: stores.builds };
    switch (request.kind) {
      case "builder-web":
        return await importBuilderWeb(stores, request.path, options);
      case "records":
        return await importRecords(request.path, records);
      case "remote":
        return await importRemote({ ...records, ...request });
      case "build":
        return await pullBuild({ ...records, remote: request.remote }, request.job, request.id);
    }
  } finally {
    running.delete(stores.db);
  }
}
