/**
 * Who may use which route: the one list. A server with a route that isn't here, or with an entry whose route is
 * gone, doesn't start, and the authorisation test walks through all of it.
 */
import type { Scope } from "../accounts/tokens.ts";

export interface RouteRule {
  /**
   * `anybody`; `person`: whoever signed in with a password, for their own account; or whoever has that scope, which
   * users have all of but `admin`.
   */
  readonly need: "anybody" | "person" | Scope;
  /** What the audit log calls it; every route that changes something has one. */
  readonly action?: string;
  /** A page: who isn't signed in is sent to do that, and before set-up it says how that is done. */
  readonly page?: true;
  /** The body may be of any size: it is written to the disk as it comes. */
  readonly upload?: true;
}

const page = (need: RouteRule["need"]): RouteRule => ({ need, page: true });
const form = (need: RouteRule["need"], action: string): RouteRule => ({ need, action, page: true });
const see = (need: RouteRule["need"]): RouteRule => ({ need });
const change = (need: RouteRule["need"], action: string): RouteRule => ({ need, action });

export const ROUTES: Readonly<Record<string, RouteRule>> = {
  "GET /healthz": see("anybody"),
  "GET /readyz": see("anybody"),
  "GET /metrics": see("metrics"),
  "GET /openapi.json": see("anybody"),
  "GET /assets/:file": see("anybody"),
  "GET /favicon.ico": see("anybody"),
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
  "GET /api/v1/images/:sha256": see("read"),
  "GET /api/v1/images/:sha256/content": see("read"),

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

  "GET /": page("read"),
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
