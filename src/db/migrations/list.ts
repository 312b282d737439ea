/**
 * The migrations, in order. A migration that was ever released is never edited, only followed by another: its
 * checksum is kept in every database that had it. Write STRICT tables and times as milliseconds since 1970. All
 * pending ones run in one transaction with foreign keys on, so a table that is rebuilt needs
 * `PRAGMA defer_foreign_keys = ON`, and BEGIN and COMMIT have no place here.
 */
import base from "./0001_base.sql" with { type: "text" };
import networks from "./0002_networks.sql" with { type: "text" };
import unikernels from "./0003_unikernels.sql" with { type: "text" };
import users from "./0004_users.sql" with { type: "text" };
import store from "./0005_store.sql" with { type: "text" };
import builds from "./0006_builds.sql" with { type: "text" };
import schedule from "./0007_schedule.sql" with { type: "text" };
import trust from "./0008_trust.sql" with { type: "text" };
import debian from "./0009_debian.sql" with { type: "text" };
import publishedPackages from "./0010_published_packages.sql" with { type: "text" };
import copies from "./0011_copies.sql" with { type: "text" };

export interface Migration {
  /** 1, 2, 3, … without gaps: the number that its file begins with. */
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
  { number: 1, name: "base", sql: base },
  { number: 2, name: "networks", sql: networks },
  { number: 3, name: "unikernels", sql: unikernels },
  { number: 4, name: "users", sql: users },
  { number: 5, name: "store", sql: store },
  { number: 6, name: "builds", sql: builds },
  { number: 7, name: "schedule", sql: schedule },
  { number: 8, name: "trust", sql: trust },
  { number: 9, name: "debian", sql: debian },
  { number: 10, name: "published_packages", sql: publishedPackages },
  { number: 11, name: "copies", sql: copies },
];
