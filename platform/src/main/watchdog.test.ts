import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "#base/clock.ts";
import type { MainThread } from "#base/process-group.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { type Watch, Watchdog } from "./watchdog.ts";

const EVERY_MS = 1_000;
const HUNG_MS = 10_000;

/** One process that does as told. */
class Patient {
  thread: MainThread | undefined = { state: "S", cpuMs: 0 };
  answers = true;
  asked = 0;
  hung = 0;
  readonly watch: Watch;
  readonly #time = new SimulatedClock();
  #stoppedMs = 0;

  constructor() {
    const clock: Clock = {
      now: () => this.#time.now(),
      monotonic: () => this.#time.monotonic() + this.#stoppedMs,
      after: (delayMs, action) => this.#time.after(delayMs, action),
      cancel: (timer) => this.#time.cancel(timer),
    };
    const dog = new Watchdog({ clock, look: () => this.thread }, { everyMs: EVERY_MS, hungMs: HUNG_MS });
    this.watch = dog.watch({
      pid: 1,
      ask: () => {
        this.asked++;
        if (this.answers) this.watch.answered();
      },
      hung: () => {
        this.hung++;
      },
    });
  }

  /** Time in which the watchdog runs all along. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += EVERY_MS / 2) await this.#time.advance(EVERY_MS / 2);
  }

  /** Time in which the watchdog does not run: its timers fire that much late. */
  stop(ms: number): void {
    this.#stoppedMs += ms;
  }
}

test("who answers is left alone and asked again; who ends is not asked any more", async () => {
  const patient = new Patient();
  await patient.pass(60_000);
  assert.equal(patient.hung, 0);
  assert.ok(patient.asked >= 59, `${patient.asked}`);
  const { asked } = patient;
  patient.watch.end();
  await patient.pass(60_000);
  assert.equal(patient.asked, asked);
});

test("who is silent for so long hangs, told once; it was asked once", async () => {
  const patient = new Patient();
  patient.answers = false;
  await patient.pass(HUNG_MS);
  assert.equal(patient.hung, 0);
  await patient.pass(2 * EVERY_MS);
  assert.equal(patient.hung, 1);
  await patient.pass(60_000);
  assert.deepEqual([patient.asked, patient.hung], [1, 1]);
});

test("an answer just in time starts the silence over", async () => {
  const patient = new Patient();
  patient.answers = false;
  for (let time = 0; time < 5; time++) {
    await patient.pass(HUNG_MS - EVERY_MS);
    patient.watch.answered();
  }
  assert.equal(patient.hung, 0);
});

test("a tick that comes late forgives: the watchdog itself did not run", async () => {
  const patient = new Patient();
  patient.answers = false;
  for (let time = 0; time < 5; time++) {
    await patient.pass(HUNG_MS - EVERY_MS);
    patient.stop(60_000);
  }
  assert.equal(patient.hung, 0);
  await patient.pass(HUNG_MS + 2 * EVERY_MS);
  assert.equal(patient.hung, 1);
});

test("who wants to run and is hardly let is slow, not hung; one that runs all along hangs", async () => {
  for (const [state, cpuMs, hung] of [
    ["R", 900, 0],
    ["R", 1_100, 1],
    ["D", 0, 0],
    ["T", 0, 1],
    ["S", 0, 1],
  ] as const) {
    const patient = new Patient();
    patient.answers = false;
    patient.thread = { state: "R", cpuMs: 5_000 };
    patient.watch.answered();
    patient.thread = { state, cpuMs: 5_000 + cpuMs };
    await patient.pass(HUNG_MS + 2 * EVERY_MS);
    assert.equal(patient.hung, hung, `${state} ${cpuMs}`);
  }
});

test("where nothing can be seen of it, silence alone decides", async () => {
  const patient = new Patient();
  patient.answers = false;
  patient.thread = undefined;
  await patient.pass(HUNG_MS + 2 * EVERY_MS);
  assert.equal(patient.hung, 1);
});
