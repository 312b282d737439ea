/** The shapes of what is sent: checked at the edge, described in the reference, typed for the client. */
import { t } from "elysia";

export const Name = t.Object({ name: t.String({ maxLength: 500 }) });

const RestartPolicy = t.Union([
  t.Object({ kind: t.Literal("no") }),
  t.Object({ kind: t.Literal("on-failure"), limit: t.Union([t.Integer({ minimum: 1 }), t.Null()]) }),
  t.Object({ kind: t.Literal("always") }),
  t.Object({
    kind: t.Literal("albatross"),
    codes: t.Union([t.Array(t.Integer({ minimum: 0, maximum: 255 })), t.Null()]),
  }),
]);

const text = (maxLength: number) => t.String({ maxLength });
const orNull = <T extends Parameters<typeof t.Union>[0][number]>(schema: T) => t.Union([schema, t.Null()]);

/** Everything that can be changed without another image; what isn't given stays, or is the default. */
export const Config = t.Partial(
  t.Object({
    memoryMb: t.Integer({ minimum: 1, maximum: 16_777_216, description: "MiB" }),
    cpus: orNull(t.Array(t.Integer({ minimum: 0, maximum: 65_535 }), { maxItems: 1024 })),
    args: t.Array(text(65_536), { maxItems: 1024 }),
    addName: t.Boolean({ description: "tell the guest its name by --name=" }),
    addAddress: t.Boolean({ description: "tell the guest its address by --ipv4= and --ipv4-gateway=" }),
    networks: t.Array(
      t.Object({ device: text(67), network: text(64), mac: orNull(text(17)), address: orNull(text(15)) }),
      { maxItems: 64 },
    ),
    blocks: t.Array(
      t.Object({
        device: text(67),
        volume: text(300),
        sectorSize: orNull(t.Integer({ minimum: 512, maximum: 65_536 })),
      }),
      { maxItems: 64 },
    ),
    publish: t.Array(
      t.Object({
        protocol: t.Union([t.Literal("tcp"), t.Literal("udp")]),
        hostAddress: orNull(text(45)),
        hostPort: t.Integer({ minimum: 1, maximum: 65_535 }),
        guestPort: t.Integer({ minimum: 1, maximum: 65_535 }),
      }),
      { maxItems: 1024 },
    ),
    restart: RestartPolicy,
    priority: t.Integer({ minimum: 0, maximum: 1000 }),
    labels: t.Record(text(64), text(256)),
  }),
);

export const Wait = t.Optional(
  t.Union([t.Literal("started"), t.Literal("no")], {
    description: "started: answer once the guest runs or has failed, with its first console lines",
  }),
);

export const Sha256 = t.String({ pattern: "^[0-9a-f]{64}$" });

export const Create = t.Object({
  name: text(500),
  image: Sha256,
  config: t.Optional(Config),
  start: t.Optional(t.Boolean()),
  wait: Wait,
  replace: t.Optional(t.Boolean()),
});

export const Update = t.Object({
  config: t.Optional(Config),
  image: t.Optional(Sha256),
  restart: t.Optional(t.Boolean()),
  wait: Wait,
});

export const Resolution = t.Union([
  t.Literal("raw"),
  t.Literal("minute"),
  t.Literal("hour"),
  t.Literal("day"),
]);

export const Policy = t.Object({
  unikernels: t.Integer({ minimum: 0 }),
  memoryMb: t.Integer({ minimum: 0 }),
  cpus: t.Array(t.Integer({ minimum: 0, maximum: 65_535 }), { maxItems: 65_536 }),
  blockMb: orNull(t.Integer({ minimum: 0 })),
  bridges: t.Array(text(64), { maxItems: 1024 }),
});
