import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "./config.ts";

test("without anything set: loopback, the usual ports, the home in the folder", () => {
  assert.deepEqual(readConfig({}, "/srv"), {
    home: "/srv/.colibri",
    bind: "127.0.0.1",
    port: 8080,
    controlPort: 8081,
    sandbox: "auto",
    sandboxDetail: "",
    ociRuntime: undefined,
    placement: {},
    rootFolders: {},
    pools: undefined,
    capacityMiB: undefined,
    logLevel: "info",
  });
});

test("what is set is taken; a home is relative to the folder; empty is not set", () => {
  const environment = {
    COLIBRI_HOME: "state",
    COLIBRI_BIND: "::1",
    COLIBRI_PORT: "0",
    COLIBRI_CONTROL_PORT: "65535",
    COLIBRI_SANDBOX: "process",
    COLIBRI_LOG_LEVEL: "",
  };
  const config = readConfig(environment, "/srv");
  assert.deepEqual(
    [config.home, config.bind, config.port, config.controlPort, config.sandbox, config.logLevel],
    ["/srv/state", "::1", 0, 65_535, "process", "info"],
  );
});

test("who shares no host with others is read from one text", () => {
  const { placement } = readConfig({ COLIBRI_PLACEMENT: "acme=tenant,acme/cart=app" }, "/");
  assert.deepEqual(placement, { acme: "tenant", "acme/cart": "app" });
  assert.throws(() => readConfig({ COLIBRI_PLACEMENT: "acme" }, "/"), {
    code: "request-invalid",
    message: 'COLIBRI_PLACEMENT is "acme": "acme": the class must be one of shared, tenant, app',
  });
});

test("pools are read from one text, which can turn them off", () => {
  assert.deepEqual(readConfig({ COLIBRI_POOL: "python:64=1..4" }, "/").pools?.named, [
    { runtime: "python", memoryMiB: 64, min: 1, max: 4 },
  ]);
  assert.deepEqual(readConfig({ COLIBRI_POOL: "off" }, "/").pools, { named: [], others: { min: 0, max: 0 } });
  assert.throws(() => readConfig({ COLIBRI_POOL: "python:100=1..4" }, "/"), {
    code: "request-invalid",
    message: 'COLIBRI_POOL is "python:100=1..4": "python:100=1..4": sizes are multiples of 64 MiB: write 128',
  });
});

test("pools of a runtime that there is not are refused", () => {
  assert.throws(() => readConfig({ COLIBRI_POOL: "ruby:128=2" }, "/"), {
    code: "request-invalid",
    message: 'COLIBRI_POOL is "ruby:128=2": "ruby" is no runtime: there are nodejs and python',
  });
});

test("the capacity is a size", () => {
  assert.equal(readConfig({ COLIBRI_CAPACITY: "64GiB" }, "/").capacityMiB, 65_536);
  for (const [value, message] of [
    ["64", '"64" has no unit: write 64MiB, or another of B, KiB, MiB, GiB'],
    ["10MiB", "the smallest sandbox takes 64MiB"],
  ] as const)
    assert.throws(() => readConfig({ COLIBRI_CAPACITY: value }, "/"), {
      code: "request-invalid",
      message: `COLIBRI_CAPACITY is "${value}": ${message}`,
    });
});

test("folders of images are one for all, or one for each runtime", () => {
  assert.deepEqual(readConfig({ COLIBRI_ROOTFS: "/srv/a=b" }, "/").rootFolders, { "*": "/srv/a=b" });
  assert.deepEqual(readConfig({ COLIBRI_ROOTFS: "python=/p, *=/n" }, "/").rootFolders, { python: "/p", "*": "/n" });
  for (const wrong of ["images", "python=images", "cobol=/c", "python=/a,python=/b", "python=/a,"]) {
    assert.throws(() => readConfig({ COLIBRI_ROOTFS: wrong }, "/"), {
      code: "request-invalid",
      message: `COLIBRI_ROOTFS is ${JSON.stringify(wrong)}: it takes an absolute folder, or one for each runtime, such as nodejs=/srv/images/node,python=/srv/images/python`,
    });
  }
});

test("what is wrong is named, with what would be right", () => {
  for (const [name, value, right] of [
    ["COLIBRI_PORT", "http", "a port from 1 to 65535, or 0 for a free one"],
    ["COLIBRI_PORT", "65536", "a port from 1 to 65535, or 0 for a free one"],
    ["COLIBRI_CONTROL_PORT", "-1", "a port from 1 to 65535, or 0 for a free one"],
    ["COLIBRI_CONTROL_PORT", "1e3", "a port from 1 to 65535, or 0 for a free one"],
    ["COLIBRI_SANDBOX", "docker", "auto, process, container, microvm"],
    ["COLIBRI_LOG_LEVEL", "loud", "debug, info, warn, error"],
  ] as const) {
    assert.throws(() => readConfig({ [name]: value }, "/"), {
      code: "request-invalid",
      message: `${name} is ${JSON.stringify(value)}: it takes ${right}`,
    });
  }
});
