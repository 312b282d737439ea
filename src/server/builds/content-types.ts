/** Types and names of artifacts, in builder-web's manner. Pure. */

const TYPES: Readonly<Record<string, string>> = {
  asc: "application/pgp-signature",
  bz2: "application/x-bzip2",
  c: "text/plain",
  css: "text/css",
  csv: "text/csv",
  deb: "application/vnd.debian.binary-package",
  gif: "image/gif",
  gz: "application/gzip",
  htm: "text/html",
  html: "text/html",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: "application/javascript",
  json: "application/json",
  log: "text/plain",
  md: "text/markdown",
  ml: "text/plain",
  opam: "text/plain",
  pdf: "application/pdf",
  png: "image/png",
  sh: "text/plain",
  svg: "image/svg+xml",
  tar: "application/x-tar",
  txt: "text/plain",
  xml: "text/xml",
  xz: "application/x-xz",
  zip: "application/zip",
  zst: "application/zstd",
};

const INPUTS = new Set(["build-environment", "opam-switch", "system-packages"]);
const WITH_CHARSET = new Set(["text/html", "text/xml", "text/plain", "application/javascript"]);

/** By the artifact's path. */
export function typeOfPath(path: string): string {
  const type = plainType(path);
  return WITH_CHARSET.has(type) ? `${type}; charset=utf-8` : type;
}

function plainType(path: string): string {
  if (INPUTS.has(path) || path.endsWith(".build-hashes")) return "text/plain";
  if (path.startsWith("bin/")) return "application/octet-stream";
  const extension = /\.([A-Za-z0-9]{1,8})$/.exec(path)?.[1]?.toLowerCase() ?? "";
  return (Object.hasOwn(TYPES, extension) ? TYPES[extension] : undefined) ?? "application/octet-stream";
}

/** Content-Disposition with the path's last part (RFC 6266): text is shown, all else is kept. */
export function disposition(path: string, type: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const plain = name.replaceAll(/[^\w.+-]/g, "_") || "file";
  const kind = type.startsWith("text/plain") ? "inline" : "attachment";
  const exact =
    plain === name
      ? ""
      : `; filename*=UTF-8''${encodeURIComponent(name).replaceAll(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`;
  return `${kind}; filename="${plain}"${exact}`;
}
