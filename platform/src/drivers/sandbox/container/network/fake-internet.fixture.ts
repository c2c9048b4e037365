/** An internet out of namespaces, on this host alone: a router with public-looking addresses behind it, and probes in sandboxes. */
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { loadSystemCalls, MOUNT } from "#base/system-calls.ts";
import type { Nameserver } from "./nameservers.ts";

type Program = ChildProcessByStdio<Writable, Readable, null>;

/** Why these tests cannot run here; false when they can. */
export function whyNotHere(): string | false {
  if (process.getuid?.() !== 0) return "networks of sandboxes need root";
  const tools = ["ip", "nft"].filter((tool) => !existsSync(`/usr/sbin/${tool}`) && !existsSync(`/sbin/${tool}`));
  return tools.length === 0
    ? false
    : `networks of sandboxes need ${tools.join(" and ")}: apt-get install iproute2 nftables`;
}

/** What is pinned from here on is gone with this process. */
export async function enterMountTable(): Promise<void> {
  const calls = await loadSystemCalls();
  calls.unshareMounts();
  calls.mount({ target: "/", flags: MOUNT.recursive | MOUNT.slave });
}

export const newHome = () => randomBytes(3).toString("hex");

export interface FakeInternet {
  /** Of everything public on it. */
  readonly address: string;
  /** Private, and yet a host there answers. */
  readonly privateAddress: string;
  /** The /28 that leads there. */
  readonly range: string;
  readonly nameservers: readonly Nameserver[];
  readonly link: string;
  close(): Promise<void>;
}

export const PORTS = [8_000, 8_443];
const METADATA = "169.254.169.254";

export async function openFakeInternet(): Promise<FakeInternet> {
  const id = randomBytes(3).toString("hex");
  const name = `fake-${id}`;
  const link = `fk${id}`;
  ip(`netns add ${name}`);
  try {
    ip(`link add ${link} type veth peer name eth0 netns ${name}`);
    const net = claimRange(link);
    const address = `${net}${offset(10)}`;
    const privateAddress = `10.213.${Math.floor(Math.random() * 256)}.${1 + Math.floor(Math.random() * 250)}`;
    ip(
      `-n ${name} link set lo up`,
      `-n ${name} address add ${net}${offset(2)}/30 dev eth0`,
      `-n ${name} link set eth0 up`,
    );
    for (const own of [address, privateAddress, METADATA]) ip(`-n ${name} address add ${own}/32 dev lo`);
    ip(`-n ${name} route add default via ${net}${offset(1)}`);
    ip(`route add ${net}${offset(0)}/28 via ${net}${offset(2)}`);
    const metric = 1 + Math.floor(Math.random() * 2 ** 31);
    for (const there of [privateAddress, METADATA]) ip(`route add ${there}/32 via ${net}${offset(2)} metric ${metric}`);
    const server = start(`/run/netns/${name}`, "./server.fixture.ts", [address, privateAddress, PORTS.join(",")]);
    await once(createInterface({ input: server.stdout }), "line");
    return {
      address,
      privateAddress,
      range: `${net}${offset(0)}/28`,
      nameservers: [{ address, port: 53 }],
      link,
      async close() {
        await stop(server);
        ip(`link del ${link}`, `netns del ${name}`);
      },
    };
    function offset(index: number): number {
      return claimed + index;
    }
  } catch (error) {
    ip(`netns del ${name}`);
    throw error;
  }
}

let claimed = 0;

/** A /28 of TEST-NET-3 that no other run of these tests holds: an address can be claimed once. */
function claimRange(link: string): string {
  const taken = Object.values(networkInterfaces()).flatMap((rows) => (rows ?? []).map((row) => row.address));
  const free = Array.from({ length: 16 }, (_, index) => index * 16).filter(
    (start) => !taken.includes(`203.0.113.${start + 1}`),
  );
  claimed = free[Math.floor(Math.random() * free.length)]!;
  ip(`address add 203.0.113.${claimed + 1}/30 dev ${link}`, `link set ${link} up`);
  return "203.0.113.";
}

export interface Probe {
  run(order: ProbeOrder): Promise<string>;
  close(): Promise<void>;
}

interface ProbeOrder {
  readonly kind: string;
  readonly host?: string;
  readonly port?: number;
  readonly from?: string;
  readonly text?: string;
  readonly count?: number;
}

/** A process in a namespace, ready to try things. */
export function openProbe(path: string): Probe {
  const program = start(path, "./probe.fixture.ts", []);
  program.setMaxListeners(0);
  const waiting = new Map<number, (result: string) => void>();
  let next = 0;
  createInterface({ input: program.stdout }).on("line", (line) => {
    const { id, result } = JSON.parse(line) as { id: number; result: string };
    waiting.get(id)!(result);
  });
  return {
    run: (order) =>
      new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, resolve);
        program.once("exit", (code) => reject(new Error(`the probe ended with ${code}`)));
        program.stdin.write(`${JSON.stringify({ id, ...order })}\n`);
      }),
    close: () => stop(program),
  };
}

function start(namespace: string, program: string, args: string[]): Program {
  const file = fileURLToPath(new URL(program, import.meta.url));
  return spawn("nsenter", [`--net=${namespace}`, process.execPath, file, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}

async function stop(program: Program): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const exit = once(program, "exit");
  program.stdin.end();
  await exit;
}

export function ip(...commands: string[]): string {
  return commands.map((command) => execFileSync("ip", command.split(" "), { encoding: "utf8" })).join("");
}

/** Takes down what holds inside a network beside the host's table, which must hold alone. */
export function openInside({ name }: { readonly name: string }): void {
  ip(`-n ${name} route flush type prohibit`, `-n ${name} xfrm policy flush`);
}

export function nft(command: string): string {
  return execFileSync("nft", command.split(" "), { encoding: "utf8" });
}

/** All of the host that sandboxes' networks touch, to compare. */
export function hostState(home: string): Record<string, string> {
  const only = (text: string) =>
    text
      .split("\n")
      .filter((line) => line.includes(home))
      .join("\n");
  return {
    links: only(ip("-o link")),
    addresses: only(ip("-o address")),
    routes: only(ip("route show table all")),
    namespaces: only(ip("netns list")),
    tables: only(nft("list tables")),
  };
}

export const NOTHING = { links: "", addresses: "", routes: "", namespaces: "", tables: "" };
