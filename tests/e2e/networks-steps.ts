/**
 * One step in the life of networks, in a process of its own so that it can be killed anywhere:
 * bun networks-steps.ts DATA STEP…. Or `check`, which recovers and prints what is left to do and what there is.
 *
 * A unikernel is a process that sleeps: its number is given, so that the test can kill it.
 */
import { createNetwork, publishPort, removeNetwork, unpublishPort } from "../../src/network/manage.ts";
import { openNetworks } from "../../src/network/open-networks.ts";
import { NetworkError } from "../../src/network/network-error.ts";
import { ownerOf } from "../../src/network/owner.ts";
import { parseHostPort, parsePort } from "../../src/network/ports.ts";
import type { NetworkMode } from "../../src/network/records.ts";

const [data = "", step = "", ...args] = process.argv.slice(2);
const [first = "", second = "", third = ""] = args;

async function perform(): Promise<void> {
  using open = openNetworks(data);
  const { networks } = open;
  switch (step) {
    case "create":
      return void (await createNetwork(networks, first, {
        mode: second as NetworkMode,
        ipv6: third || undefined,
      }));
    case "rm":
      return await removeNetwork(networks, first);
    case "attach": {
      const devices = [{ device: "service", network: second || undefined }];
      const ports = third === "" ? [] : [parsePort(`${third}:80`)];
      return void (await networks.attach({
        unikernel: first,
        devices,
        ports,
        owner: ownerOf(Number(args[3])),
      }));
    }
    case "detach":
      return await networks.detach(first);
    case "publish":
      return void (await publishPort(networks, first, parsePort(`${second}:80`)));
    case "unpublish":
      return await unpublishPort(networks, parseHostPort(first));
    case "check": {
      await networks.recover();
      const pending = await networks.plan();
      const { networks: known, taps, ports } = networks.records();
      console.log(
        JSON.stringify({
          pending: pending.map((action) => action.do),
          networks: known.map(({ name }) => name),
          unikernels: taps.map(({ unikernel }) => unikernel),
          ports: ports.map(({ hostPort }) => hostPort),
        }),
      );
      return;
    }
    default:
      throw new Error(`what is ${step}?`);
  }
}

try {
  await perform();
} catch (error) {
  // That a network is missing or in use is a part of life.
  if (!(error instanceof NetworkError)) throw error;
  if (error.code === "program-failed") throw error;
  console.error(error.code);
}
