/** The server's keys, the keys it trusts, and the statements it keeps. */
import type { Database } from "bun:sqlite";
import { write } from "../db/open.ts";
import { type Sha256, sha256Bytes } from "../lib/sha256.ts";
import { sha256Of } from "../lib/sha256-of.ts";
import { type Envelope, IN_TOTO, formatEnvelope, parseEnvelope } from "./envelope.ts";
import { type PublicKey, type SigningKey, newSigningKey, publicKeyOf } from "./keys.ts";
import { kindOf, parseStatement, subjectsOf } from "./statement.ts";
import { TrustError } from "./trust-error.ts";

export interface TrustedKey {
  readonly name: string;
  readonly key: PublicKey;
  readonly addedAt: number;
}

export interface Attestation {
  readonly kind: "provenance" | "rebuild";
  /** A build's UUID, where it is about one. */
  readonly build: string | undefined;
  /** Where it was fetched; undefined for this server's own. */
  readonly source: string | undefined;
  /** The envelope's JSON, one line. */
  readonly envelope: string;
  readonly createdAt: number;
}

interface KeyRow {
  readonly private: Uint8Array;
  readonly public: Uint8Array;
}

interface AttestationRow {
  readonly kind: "provenance" | "rebuild";
  readonly build: string | null;
  readonly source: string | null;
  readonly envelope: string;
  readonly created_at: number;
}

/** The key that the server signs with; made when there is none yet. */
export function ownKey(db: Database, now: number): SigningKey {
  const existing = newestKey(db);
  if (existing !== undefined) return existing;
  const made = newSigningKey();
  return write(db, () => {
    // Another process may have been faster: there is one key, not two.
    const other = newestKey(db);
    if (other !== undefined) return other;
    db.query<unknown, (string | number | Uint8Array)[]>(
      "INSERT INTO signing_key (id, private, public, created_at) VALUES (?, ?, ?, ?)",
    ).run(made.public.id, made.private, made.public.bytes, now);
    return made;
  });
}

/** All keys that the server has signed with, the newest first. */
export function ownPublicKeys(db: Database): PublicKey[] {
  return db
    .query<{ public: Uint8Array }, []>("SELECT public FROM signing_key ORDER BY created_at DESC, id")
    .all()
    .map(({ public: bytes }) => publicKeyOf(bytes));
}

function newestKey(db: Database): SigningKey | undefined {
  const row = db
    .query<KeyRow, []>("SELECT private, public FROM signing_key ORDER BY created_at DESC, id LIMIT 1")
    .get();
  return row === null ? undefined : { private: row.private, public: publicKeyOf(row.public) };
}

/** Trusts a key from now on, under a name. Throws TrustError exists. */
export function trustKey(db: Database, name: string, key: PublicKey, now: number): TrustedKey {
  return write(db, () => {
    const clash = db
      .query<{ name: string }, [string, string]>("SELECT name FROM trusted_key WHERE name = ? OR id = ?")
      .get(name, key.id);
    if (clash !== null) {
      throw new TrustError("exists", `${clash.name} is trusted already`, {
        hint: `robur trust rm ${clash.name} first, if it is to be another key`,
      });
    }
    db.query<unknown, (string | number | Uint8Array)[]>(
      "INSERT INTO trusted_key (id, name, public, added_at) VALUES (?, ?, ?, ?)",
    ).run(key.id, name, key.bytes, now);
    return { name, key, addedAt: now };
  });
}

/** By name. */
export function trustedKeys(db: Database): TrustedKey[] {
  return db
    .query<{ name: string; public: Uint8Array; added_at: number }, []>(
      "SELECT name, public, added_at FROM trusted_key ORDER BY name",
    )
    .all()
    .map((row) => ({ name: row.name, key: publicKeyOf(row.public), addedAt: row.added_at }));
}

/** By its name or id. False when there was none. */
export function distrust(db: Database, nameOrId: string): boolean {
  const { changes } = write(db, () =>
    db.query("DELETE FROM trusted_key WHERE name = ?1 OR id = ?1").run(nameOrId),
  );
  return changes > 0;
}

/**
 * Keeps a statement; one that is kept already isn't kept twice. Whether its signature holds is asked when somebody
 * relies on it. Throws TrustError bad-statement for one of an unknown kind or without a file.
 */
export function keepAttestation(
  db: Database,
  envelope: Envelope,
  about: { readonly build?: string | undefined; readonly source?: string | undefined },
  now: number,
): Attestation {
  if (envelope.payloadType !== IN_TOTO) {
    throw new TrustError("bad-statement", "this statement can't be kept", {
      why: `it is no in-toto statement, but ${envelope.payloadType}`,
    });
  }
  const statement = parseStatement(envelope.payload);
  const kind = kindOf(statement);
  const subjects = new Set(subjectsOf(statement).map(({ sha256 }) => sha256));
  if (kind === undefined || subjects.size === 0) {
    throw new TrustError("bad-statement", "this statement can't be kept", {
      why: kind === undefined ? `its kind is ${statement.predicateType}` : "it speaks of no file by SHA-256",
    });
  }
  const text = formatEnvelope(envelope);
  const build = about.build ?? null;
  const source = about.source ?? null;
  write(db, () => {
    const row = db
      .query<{ id: number }, (string | number | Uint8Array | null)[]>(
        `INSERT INTO attestation (sha256, kind, build, source, envelope, created_at) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (sha256) DO NOTHING RETURNING id`,
      )
      .get(sha256Bytes(sha256Of(text)), kind, build, source, text, now);
    if (row === null) return;
    const insert = db.query<unknown, [number, Uint8Array]>(
      "INSERT INTO attestation_subject (attestation, sha256) VALUES (?, ?)",
    );
    for (const subject of subjects) insert.run(row.id, sha256Bytes(subject));
  });
  return { kind, build: about.build, source: about.source, envelope: text, createdAt: now };
}

/** What is kept about a file, oldest first. */
export function attestationsAbout(db: Database, sha256: Sha256): Attestation[] {
  return db
    .query<AttestationRow, [Uint8Array]>(
      `SELECT attestation.* FROM attestation_subject JOIN attestation ON attestation.id = attestation_subject.attestation
       WHERE attestation_subject.sha256 = ? ORDER BY attestation.id`,
    )
    .all(sha256Bytes(sha256))
    .map(fromRow);
}

/** What is kept about a build, oldest first. */
export function attestationsOfBuild(db: Database, build: string): Attestation[] {
  return db
    .query<AttestationRow, [string]>("SELECT * FROM attestation WHERE build = ? ORDER BY id")
    .all(build)
    .map(fromRow);
}

/** Nobody has so many about one build. */
const FOREIGN_MAX = 200;

/** Statements of another server's, a line each (JSON Lines); those that can't be kept are counted. */
export function keepForeign(
  db: Database,
  lines: string,
  from: { readonly source: string; readonly build?: string | undefined },
  now: number,
): { kept: number; refused: number } {
  const count = { kept: 0, refused: 0 };
  for (const line of lines.split("\n", FOREIGN_MAX)) {
    if (line.trim() === "") continue;
    try {
      keepAttestation(db, parseEnvelope(line), from, now);
      count.kept += 1;
    } catch (error) {
      if (!(error instanceof TrustError)) throw error;
      count.refused += 1;
    }
  }
  return count;
}

function fromRow(row: AttestationRow): Attestation {
  return {
    kind: row.kind,
    build: row.build ?? undefined,
    source: row.source ?? undefined,
    envelope: row.envelope,
    createdAt: row.created_at,
  };
}
