/**
 * Who may use which route: the one list. A server with a route that isn't here, or with an entry whose route is
 * gone, doesn't start, and the authorisation test walks through all of it.
 */
import type { Scope } from "../accounts/tokens.ts";

export interface RouteRule {
  /**
   * `anybody`; `person`: whoever signed in with a password, for their own account; `builds`: anybody, or who has the
   * scope `read` where the setting builds.public is false; or whoever has that scope, which users have all of but
   * `admin`.
   */
  readonly need: "anybody" | "person" | "builds" | Scope;
  /** What the audit log calls it; every route that changes something has one. */
  readonly action?: string;
  /** A page: who isn't signed in is sent to do that, and before set-up it says how that is done. */
  readonly page?: true;
  /** The body may be of any size: it is written to the disk as it comes. */
  readonly upload?: true;
  /** Name and password may come along (RFC 7617): the original's uploaders can do nothing else. */
  readonly basic?: true;
}

const page = (need: RouteRule["need"]): RouteRule => ({ need, page: true });
const form = (need: RouteRule["need"], action: string): RouteRule => ({ need, action, page: true });
const see = (need: RouteRule["need"]): RouteRule => ({ need });
const change = (need: RouteRule["need"], action: string): RouteRule => ({ need, action });
const take = (action: string): RouteRule => ({ need: "write", action, upload: true, basic: true });

export const ROUTES: Readonly<Record<string, RouteRule>> = {
  "GET /healthz": see("anybody"),
  "GET /readyz": see("anybody"),
  "GET /metrics": see("metrics"),
  "GET /openapi.json": see("anybody"),
  "GET /assets/:file": see("anybody"),
  "GET /favicon.ico": see("anybody"),
  "GET /img/robur-logo.png": see("anybody"),
  "GET /img/robur-logo-black-writing.png": see("anybody"),
  "GET /robots.txt": see("anybody"),
  "GET /install.sh": see("anybody"),
  "GET /RELEASE": see("anybody"),
  "GET /SHA256SUMS": see("anybody"),
  "GET /SHA256SUMS.sig": see("anybody"),
  "GET /robur-linux-x64.gz": see("anybody"),
  "GET /robur-linux-arm64.gz": see("anybody"),
  "GET /:version/:file": see("anybody"),

  "GET /api/v1/system": see("read"),
  "GET /api/v1/session": see("anybody"),
  "POST /api/v1/session": change("anybody", "session.start"),
  "DELETE /api/v1/session": change("person", "session.end"),
  "GET /api/v1/sessions": see("person"),
  "DELETE /api/v1/sessions/:session": change("person", "session.end"),
  "PUT /api/v1/password": change("person", "password.change"),
  "POST /api/v1/setup": change("anybody", "server.set-up"),

  "GET /api/v1/tokens": see("person"),
  "POST /api/v1/tokens": change("person", "token.create"),
  "DELETE /api/v1/tokens/:token": change("person", "token.remove"),
  "GET /api/v1/users": see("admin"),
  "POST /api/v1/users": change("admin", "user.add"),
  "PATCH /api/v1/users/:user": change("admin", "user.change"),
  "PUT /api/v1/users/:user/password": change("admin", "user.password"),
  "DELETE /api/v1/users/:user": change("admin", "user.remove"),
  "GET /api/v1/users/:user/uploads": see("admin"),
  "PUT /api/v1/users/:user/uploads/:job": change("admin", "upload-access.add"),
  "DELETE /api/v1/users/:user/uploads/:job": change("admin", "upload-access.remove"),
  "GET /api/v1/users/:user/tokens": see("admin"),
  "POST /api/v1/users/:user/tokens": change("admin", "token.create"),
  "DELETE /api/v1/users/:user/tokens/:token": change("admin", "token.remove"),
  "GET /api/v1/audit": see("admin"),
  "GET /api/v1/settings": see("admin"),
  "PUT /api/v1/settings/:key": change("admin", "setting.set"),
  "DELETE /api/v1/settings/:key": change("admin", "setting.remove"),

  "GET /api/v1/hooks": see("admin"),
  "POST /api/v1/hooks": change("admin", "hook.add"),
  "PATCH /api/v1/hooks/:hook": change("admin", "hook.change"),
  "DELETE /api/v1/hooks/:hook": change("admin", "hook.remove"),
  "POST /api/v1/hooks/:hook/test": change("admin", "hook.test"),
  "GET /api/v1/hooks/:hook/deliveries": see("admin"),
  "POST /api/v1/hooks/:hook/deliveries/:delivery/replay": change("admin", "hook.replay"),

  "GET /api/v1/images": see("read"),
  "POST /api/v1/images": { ...change("write", "image.put"), upload: true },
  "POST /api/v1/images/from-build": change("write", "image.put"),
  "GET /api/v1/images/:sha256": see("read"),
  "GET /api/v1/images/:sha256/content": see("read"),

  "GET /api/v1/store": see("read"),
  "POST /api/v1/store/collect": change("admin", "store.collect"),
  "POST /api/v1/store/verify": change("admin", "store.verify"),
  "POST /api/v1/store/vacuum": change("admin", "store.vacuum"),
  "GET /api/v1/store/retention": see("admin"),
  "PUT /api/v1/store/retention": change("admin", "store.retention"),
  "POST /api/v1/uploads": change("write", "upload.begin"),
  "GET /api/v1/uploads/:upload": see("write"),
  "PATCH /api/v1/uploads/:upload": { ...change("write", "upload.part"), upload: true },
  "DELETE /api/v1/uploads/:upload": change("write", "upload.remove"),

  "GET /api/v1/unikernels": see("read"),
  "POST /api/v1/unikernels": change("write", "unikernel.create"),
  "POST /api/v1/deploy": { ...change("write", "unikernel.create"), upload: true },
  "GET /api/v1/unikernels/:name": see("read"),
  "PATCH /api/v1/unikernels/:name": change("write", "unikernel.update"),
  "DELETE /api/v1/unikernels/:name": change("write", "unikernel.remove"),
  "POST /api/v1/unikernels/:name/start": change("operate", "unikernel.start"),
  "POST /api/v1/unikernels/:name/stop": change("operate", "unikernel.stop"),
  "POST /api/v1/unikernels/:name/restart": change("operate", "unikernel.restart"),
  "POST /api/v1/unikernels/:name/rename": change("write", "unikernel.rename"),
  "GET /api/v1/unikernels/:name/console": see("read"),
  "GET /api/v1/unikernels/:name/console/stream": see("read"),
  "GET /api/v1/unikernels/:name/stats": see("read"),
  "GET /api/v1/stats": see("read"),
  "GET /api/v1/stats/stream": see("read"),
  "GET /api/v1/events": see("read"),
  "GET /api/v1/events/stream": see("read"),
  "GET /api/v1/policies": see("read"),
  "PUT /api/v1/policies/:path": change("admin", "policy.set"),
  "DELETE /api/v1/policies/:path": change("admin", "policy.remove"),
  "GET /api/v1/networks": see("read"),
  "GET /api/v1/volumes": see("read"),

  "GET /api/v1/jobs": see("builds"),
  "GET /api/v1/jobs/:job": see("builds"),
  "DELETE /api/v1/jobs/:job": change("admin", "job.remove"),
  "GET /api/v1/jobs/:job/builds": see("builds"),
  "POST /api/v1/jobs/:job/builds": take("build.add"),
  "GET /api/v1/builds": see("builds"),
  "GET /api/v1/builds/:build": see("builds"),
  "GET /api/v1/compare/:left/:right": see("builds"),
  "DELETE /api/v1/builds/:build": change("admin", "build.remove"),
  "GET /api/v1/builds/:build/sandbox": see("admin"),
  "GET /api/v1/builds/:build/shell": change("admin", "build.shell"),
  "GET /api/v1/search": see("builds"),
  "PUT /api/v1/builds/:build/pin": change("admin", "build.pin"),
  "GET /api/v1/unreproducible": see("builds"),
  "POST /api/v1/imports": change("admin", "builds.import"),
  "GET /api/v1/remotes": see("read"),
  "POST /api/v1/remotes": change("admin", "remote.add"),
  "PUT /api/v1/remotes/:remote/default": change("admin", "remote.choose"),
  "DELETE /api/v1/remotes/:remote": change("admin", "remote.remove"),

  "GET /api/v1/schedule": see("read"),
  "POST /api/v1/schedule": { ...change("admin", "job.define"), upload: true },
  "GET /api/v1/schedule/:job": see("read"),
  "PATCH /api/v1/schedule/:job": { ...change("admin", "job.change"), upload: true },
  "DELETE /api/v1/schedule/:job": change("admin", "job.forget"),
  "PUT /api/v1/schedule/:job/enabled": change("admin", "job.enable"),
  "PUT /api/v1/schedule/:job/next": change("admin", "job.set-next"),
  "POST /api/v1/schedule/:job/start": change("operate", "job.start"),
  "GET /api/v1/runs": see("builds"),
  "GET /api/v1/runs/:run": see("builds"),
  "GET /api/v1/runs/:run/wait": see("read"),
  "POST /api/v1/runs/:run/abort": change("admin", "run.abort"),
  "POST /api/v1/runs/:run/move": change("admin", "run.move"),
  "GET /api/v1/runs/:run/console": see("builds"),
  "GET /api/v1/runs/:run/console/stream": see("builds"),
  "GET /api/v1/queue": see("builds"),
  "POST /api/v1/queue/:platform/drop": change("admin", "platform.drop"),
  "POST /api/v1/queue/:platform/undrop": change("admin", "platform.undrop"),
  "GET /api/v1/workers": see("read"),
  // Said each second by each worker: what came of it is in the log.
  "POST /api/v1/worker/take": see("worker"),
  "POST /api/v1/worker/lines": { ...see("worker"), upload: true },
  "POST /api/v1/worker/finish": { ...change("worker", "build.add"), upload: true },

  "GET /api/v1/trust/own": see("anybody"),
  "GET /api/v1/trust/keys": see("read"),
  "POST /api/v1/trust/keys": change("admin", "key.trust"),
  "DELETE /api/v1/trust/keys/:key": change("admin", "key.distrust"),
  "GET /api/v1/attestations": see("builds"),
  "POST /api/v1/attestations": change("admin", "attestation.keep"),
  "GET /api/v1/reproductions": see("builds"),
  "POST /api/v1/reproductions": change("admin", "reproduction.report"),
  "GET /job/:job/build/:build/attestations": see("builds"),
  "GET /job/:job/build/:build/buildinfo": see("builds"),

  "GET /": page("builds"),
  "GET /all-builds": page("builds"),
  "GET /failed-builds": page("builds"),
  "GET /hash": page("builds"),
  "GET /search": page("builds"),
  "GET /compare": page("builds"),
  "GET /compare/:left/:right": page("builds"),
  "GET /job": page("builds"),
  "GET /job/:job": page("builds"),
  "GET /job/:job/failed": page("builds"),
  "GET /job/:job/feed": see("builds"),
  "GET /job/:job/badge.svg": see("builds"),
  "GET /job/:job/build": page("builds"),
  "GET /job/:job/build/latest": page("builds"),
  "GET /job/:job/build/latest/*": page("builds"),
  "GET /job/:job/build/:build": page("builds"),
  "GET /job/:job/build/:build/log": page("builds"),
  "GET /job/:job/build/:build/shell": page("admin"),
  "POST /job/:job/build/:build/pin": form("admin", "build.pin"),
  "POST /job/:job/build/:build/remove": form("admin", "build.remove"),
  "GET /queue": page("builds"),
  "GET /runs/:run": page("builds"),
  "GET /runs/:run/console": page("builds"),
  "POST /runs/:run/abort": form("admin", "run.abort"),
  "POST /runs/:run/move": form("admin", "run.move"),
  "GET /jobs/new": page("admin"),
  "POST /jobs/new": form("admin", "job.define"),
  "GET /jobs/:job/settings": page("admin"),
  "POST /jobs/:job/settings": form("admin", "job.change"),
  "POST /jobs/:job/start": form("operate", "job.start"),
  "POST /jobs/:job/enabled": form("admin", "job.enable"),
  "POST /jobs/:job/forget": form("admin", "job.forget"),
  "GET /job/:job/build/:build/f/*": see("builds"),
  "GET /job/:job/build/:build/script": see("builds"),
  "GET /job/:job/build/:build/console": see("builds"),
  "GET /job/:job/build/:build/exec": see("builds"),
  "GET /job/:job/build/:build/viztreemap": see("builds"),
  "GET /job/:job/build/:build/vizdependencies": see("builds"),
  "GET /job/:job/build/:build/main-binary": see("builds"),
  "GET /job/:job/build/:build/all.tar": see("builds"),
  "GET /job/:job/build/:build/all.tar.gz": see("builds"),
  "GET /deb": see("builds"),
  "GET /deb/robur.asc": see("builds"),
  "GET /deb/dists/:platform/*": see("builds"),
  "GET /deb/pool/:platform/:file": see("builds"),
  "POST /upload": take("build.add"),
  "POST /job/:job/platform/:platform/upload": take("build.add"),
  "GET /reference": see("anybody"),
  "GET /setup": see("anybody"),
  "POST /setup": change("anybody", "server.set-up"),
  "GET /sign-in": page("anybody"),
  "POST /sign-in": form("anybody", "session.start"),
  "POST /sign-out": form("person", "session.end"),
  "POST /theme": see("anybody"),
  "GET /unikernels": page("read"),
  "GET /unikernels/:name": page("read"),
  "GET /unikernels/:name/console": page("read"),
  "GET /unikernels/:name/remove": page("write"),
  "POST /unikernels/:name/start": form("operate", "unikernel.start"),
  "POST /unikernels/:name/stop": form("operate", "unikernel.stop"),
  "POST /unikernels/:name/restart": form("operate", "unikernel.restart"),
  "POST /unikernels/:name/remove": form("write", "unikernel.remove"),
  "GET /deploy": page("write"),
  "POST /deploy": { ...form("write", "image.put"), upload: true },
  "POST /deploy/sample": form("write", "unikernel.create"),
  "GET /deploy/:sha256": page("write"),
  "POST /deploy/:sha256": form("write", "unikernel.create"),
};

/** The rule of an upload's method and path, which is asked for before the framework has found the route. Pure. */
export function uploadRule(method: string, pathname: string): RouteRule | undefined {
  const wanted = pathname.split("/");
  if (wanted.length > 2 && wanted.at(-1) === "") wanted.pop();
  return PATTERNS.find(
    (pattern) =>
      pattern.method === method &&
      pattern.segments.length === wanted.length &&
      pattern.segments.every((segment, i) => segment.startsWith(":") || segment === wanted[i]),
  )?.rule;
}

const PATTERNS = Object.entries(ROUTES)
  .filter(([, { upload, basic }]) => upload || basic)
  .map(([route, rule]) => {
    const [method = "", path = ""] = route.split(" ");
    return { method, segments: path.split("/"), rule };
  });
