export interface NetworkSlot {
  readonly name: string;
  readonly path: string;
  release(): Promise<void>;
}
export interface SandboxNetworks {
  open(signal: AbortSignal): Promise<void>;
  take(): Promise<NetworkSlot>;
  recover(name: string): Promise<NetworkSlot | undefined>;
  reap(keep: readonly string[]): Promise<number>;
  close(): Promise<void>;
}
