/** What is said about a build, and by whom, as pages and lists show it. */
import type { Database } from "bun:sqlite";
import { type Sha256, sha256Bytes } from "../lib/sha256.ts";
import { parseEnvelope, signersOf } from "./envelope.ts";
import type { KeyId, PublicKey } from "./keys.ts";
import { ownPublicKeys, trustedKeys } from "./records.ts";

export interface StatementView {
  readonly kind: "provenance" | "rebuild";
  /** The keys that are known here and that signed it; nobody for a statement of strangers. */
  readonly signers: readonly { readonly id: KeyId; readonly name: string }[];
  /** Where it was fetched; undefined for this server's own. */
  readonly source: string | undefined;
  readonly createdAt: number;
}

interface Row {
  readonly kind: "provenance" | "rebuild";
  readonly source: string | null;
  readonly envelope: string;
  readonly created_at: number;
}

/** More than anybody reads; each takes a few checks of signatures. */
const SHOWN = 50;

/**
 * Statements about a build, and others' about its main binary; the newest first. For strangers the trusted keys have
 * their ids instead of their names: whom somebody trusts is not everybody's business.
 */
export function statementsAboutBuild(
  db: Database,
  build: string,
  main: Sha256 | undefined,
  isForStranger = false,
): StatementView[] {
  const rows = db
    .query<Row, [string, Uint8Array, number]>(
      `SELECT kind, source, envelope, created_at FROM attestation WHERE id IN (
         SELECT id FROM attestation WHERE build = ?
         UNION SELECT attestation FROM attestation_subject JOIN attestation ON id = attestation
           WHERE attestation_subject.sha256 = ? AND build IS NULL)
       ORDER BY id DESC LIMIT ?`,
    )
    .all(build, main === undefined ? new Uint8Array(32) : sha256Bytes(main), SHOWN);
  if (rows.length === 0) return [];
  const known = isForStranger ? withoutNames(db) : knownKeys(db);
  const keys = [...known.values()].map(({ key }) => key);
  return rows.map(({ kind, source, envelope, created_at: createdAt }) => ({
    ...{ kind, source: source ?? undefined, createdAt },
    signers: signersOf(parseEnvelope(envelope), keys).map((id) => ({ id, name: known.get(id)!.name })),
  }));
}

interface KnownKey {
  readonly name: string;
  readonly key: PublicKey;
}

function withoutNames(db: Database): Map<KeyId, KnownKey> {
  const own = new Set(ownPublicKeys(db).map(({ id }) => id));
  return new Map(
    [...knownKeys(db)].map(([id, { key }]) => [
      id,
      { name: own.has(id) ? "this server" : `key ${id.slice(0, 12)}`, key },
    ]),
  );
}

/** The server's own and those that it trusts, each once, by id. */
export function knownKeys(db: Database): Map<KeyId, KnownKey> {
  return new Map([
    ...ownPublicKeys(db).map((key) => [key.id, { name: "this server", key }] as const),
    ...trustedKeys(db).map(({ name, key }) => [key.id, { name, key }] as const),
  ]);
}
