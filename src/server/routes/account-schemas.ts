/** Shapes of accounts. */
import { t } from "elysia";

export const UserName = t.String({ minLength: 1, maxLength: 63 });
export const Password = t.String({ minLength: 1, maxLength: 1024 });
export const Role = t.Union([t.Literal("admin"), t.Literal("user")]);
export const Uploads = t.Union([t.Literal("none"), t.Literal("listed"), t.Literal("any")], {
  description: "for which jobs builds may be uploaded",
});

export const NewToken = t.Object({
  name: t.String({ minLength: 1, maxLength: 64 }),
  scopes: t.Array(t.String({ description: "read, operate, write, metrics, admin" }), {
    minItems: 1,
    maxItems: 5,
  }),
  path: t.Optional(t.String({ maxLength: 500 })),
  expiresAt: t.Optional(t.Integer({ minimum: 0, description: "milliseconds since 1970" })),
});
