import type { NetworkPolicy } from "#contract/network/policy.ts";

export interface NetworkSlot {
  readonly name: string;
  readonly path: string;
  /** In force when it resolves; changes take effect in the order in which they were asked for. */
  apply(policy: NetworkPolicy): Promise<void>;
  release(): Promise<void>;
}
export interface SandboxNetworks {
  open(signal: AbortSignal): Promise<void>;
  take(): Promise<NetworkSlot>;
  recover(name: string): Promise<NetworkSlot | undefined>;
  reap(keep: readonly string[]): Promise<number>;
  close(): Promise<void>;
}
