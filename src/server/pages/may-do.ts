/** What a visitor may do with runs and jobs: which buttons pages show. Routes decide for themselves. */
import type { MayDo } from "../../../web/pages/run-parts.tsx";
import { visitOf } from "../access/visit.ts";

export function mayDo(request: Request): MayDo {
  const { scopes } = visitOf(request).principal;
  return { operate: scopes.has("operate"), administer: scopes.has("admin") };
}
